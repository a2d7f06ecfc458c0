package yaml11

import (
	"errors"
	"math/big"
	"slices"
)

// Entry is one entry of a mapping. A key is any value but a mapping or a
// sequence.
type Entry struct{ Key, Value any }

// Mapping holds the entries of a mapping in the order of the document; no key
// occurs twice. Values that an alias repeats are shared: they must not be
// changed.
type Mapping []Entry

// Lookup returns the value under key and whether there is one.
func (m Mapping) Lookup(key string) (any, bool) {
	for _, e := range m {
		if e.Key == any(key) {
			return e.Value, true
		}
	}
	return nil, false
}

// builder makes a Mapping without a search per entry.
type builder struct {
	entries Mapping
	index   map[any]int
}

// set adds an entry or replaces the value of an earlier one.
func (b *builder) set(key, value any) {
	if b.index == nil {
		b.index, b.entries = make(map[any]int), Mapping{}
	}
	id := identity(key)
	if at, ok := b.index[id]; ok {
		b.entries[at].Value = value
		return
	}
	b.index[id] = len(b.entries)
	b.entries = append(b.entries, Entry{Key: key, Value: value})
}

// merge adds what << names: a mapping, or a sequence of mappings of which the
// first one wins.
func (b *builder) merge(value any) error {
	switch v := value.(type) {
	case Mapping:
		for _, e := range v {
			b.set(e.Key, e.Value)
		}
		return nil
	case []any:
		for _, e := range slices.Backward(v) {
			m, ok := e.(Mapping)
			if !ok {
				return errors.New("<< merges mappings only")
			}
			if err := b.merge(m); err != nil {
				return err
			}
		}
		return nil
	default:
		return errors.New("<< merges mappings only")
	}
}

// identity returns something comparable that is equal for equal keys.
func identity(key any) any {
	type bigKey string
	type binaryKey string
	switch k := key.(type) {
	case *big.Int:
		return bigKey(k.String())
	case []byte:
		return binaryKey(k)
	default:
		return k
	}
}

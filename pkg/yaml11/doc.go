// Package yaml11 reads YAML documents with the meaning of YAML 1.1, as
// TorchServe 0.12 and PyYAML do: yes and off are booleans, 010 is eight, 1:30
// is ninety, << merges mappings.
//
// The syntax is goccy/go-yaml's; this package decides what a plain scalar
// means and keeps the order of mappings. One document is one value:
//
//	null, ~, empty             nil
//	true, yes, on, …           bool
//	12, 0x1F, 010, 0b1, 1:30   int64, *big.Int beyond 64 bits
//	1.5, .inf, 1:30.5          float64
//	!!binary                   []byte
//	sequences                  []any
//	mappings                   Mapping
//	2020-01-01, with a time    Timestamp
//	everything else            string
//
// Everything here is pure and safe for concurrent use. Size, nesting and the
// expansion of aliases are bounded, so that a hostile document costs little.
package yaml11

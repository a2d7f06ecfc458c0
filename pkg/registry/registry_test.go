package registry_test

import (
	"fmt"
	"sync"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/torchserve-go/torchserve/pkg/fault"
	"github.com/torchserve-go/torchserve/pkg/model"
	"github.com/torchserve-go/torchserve/pkg/registry"
)

func entry(name model.Name, version model.Version) *registry.Entry {
	return &registry.Entry{Archive: model.Archive{Name: name, Version: version}}
}

// filled returns a registry with the versions of a model noop, in this order.
func filled(t testing.TB, versions ...model.Version) *registry.Registry {
	t.Helper()
	r := registry.New()
	for i, v := range versions {
		isDefault, err := r.Add(entry("noop", v))
		require.NoError(t, err)
		require.Equal(t, i == 0, isDefault)
	}
	return r
}

// noop names a version of the model of filled.
func noop(version model.Version) model.Ref { return model.Ref{Name: "noop", Version: version} }

func refused(t testing.TB, err error, k fault.Kind, message string) {
	t.Helper()
	require.Error(t, err)
	assert.Equal(t, k, fault.KindOf(err))
	assert.Equal(t, message, fault.Message(err))
}

// ids are name and version of entries.
func ids(entries []*registry.Entry) []string {
	all := make([]string, 0, len(entries))
	for _, e := range entries {
		all = append(all, e.Archive.ID())
	}
	return all
}

func preferred(t testing.TB, r *registry.Registry) model.Version {
	t.Helper()
	e, err := r.Find(noop(""))
	require.NoError(t, err)
	_, v, err := r.Versions("noop")
	require.NoError(t, err)
	require.Equal(t, e.Archive.Version, v)
	return v
}

func TestAdd(t *testing.T) {
	t.Run("the first version is the default, later ones are not", func(t *testing.T) {
		assert.Equal(t, model.Version("2.0"), preferred(t, filled(t, "2.0", "1.0", "3.0")))
	})
	t.Run("MGT-018 MAR-076 the same version twice", func(t *testing.T) {
		r := filled(t, "1.0")
		first, err := r.Find(noop("1.0"))
		require.NoError(t, err)
		_, err = r.Add(entry("noop", "1.0"))
		refused(t, err, fault.Conflict, "Model version 1.0 is already registered for model noop")
		still, err := r.Find(noop("1.0"))
		require.NoError(t, err)
		assert.Same(t, first, still)
	})
	t.Run("versions belong to their name", func(t *testing.T) {
		r := filled(t, "1.0")
		isDefault, err := r.Add(entry("other", "1.0"))
		require.NoError(t, err)
		assert.True(t, isDefault)
	})
}

func TestFind(t *testing.T) {
	r := filled(t, "1.0", "2.0")
	for name, c := range map[string]struct {
		ref     model.Ref
		kind    fault.Kind
		message string
	}{
		"unknown name":             {model.Ref{Name: "x"}, fault.ModelNotFound, "Model not found: x"},
		"unknown name and version": {model.Ref{Name: "x", Version: "1.0"}, fault.ModelNotFound, "Model not found: x"},
		"empty name":               {model.Ref{}, fault.ModelNotFound, "Model not found: "},
		"MGT-042 unknown version":  {noop("9.9"), fault.VersionNotFound, "Model version: 9.9 does not exist for model: noop"},
		"letter case of a name":    {model.Ref{Name: "Noop"}, fault.ModelNotFound, "Model not found: Noop"},
		"a version is only a text": {noop("1"), fault.VersionNotFound, "Model version: 1 does not exist for model: noop"},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := r.Find(c.ref)
			refused(t, err, c.kind, c.message)
		})
	}
	t.Run("versions of an unknown name", func(t *testing.T) {
		_, _, err := r.Versions("x")
		refused(t, err, fault.ModelNotFound, "Model not found: x")
	})
}

func TestRemove(t *testing.T) {
	t.Run("MGT-053 the default version stays as long as there are others", func(t *testing.T) {
		r := filled(t, "1.0", "2.0")
		for _, ref := range []model.Ref{noop(""), noop("1.0")} {
			_, err := r.Removable(ref)
			refused(t, err, fault.DefaultVersion, "Cannot remove default version for model noop")
		}
		_, err := r.Removable(noop("2.0"))
		require.NoError(t, err)
	})
	t.Run("unknown ones", func(t *testing.T) {
		r := filled(t, "1.0")
		_, err := r.Removable(model.Ref{Name: "x"})
		refused(t, err, fault.ModelNotFound, "Model not found: x")
		_, err = r.Removable(noop("2.0"))
		refused(t, err, fault.VersionNotFound, "Model version: 2.0 does not exist for model: noop")
	})
	t.Run("MGT-054 the last version takes the name along", func(t *testing.T) {
		r := filled(t, "1.0", "2.0")
		for _, v := range []model.Version{"2.0", "1.0"} {
			e, err := r.Removable(noop(v))
			require.NoError(t, err)
			r.Remove(e)
			r.Remove(e) // twice does nothing
		}
		_, err := r.Find(noop(""))
		refused(t, err, fault.ModelNotFound, "Model not found: noop")
		isDefault, err := r.Add(entry("noop", "3.0"))
		require.NoError(t, err)
		assert.True(t, isDefault)
	})
	t.Run("another entry of the same version is not touched", func(t *testing.T) {
		r := filled(t, "1.0")
		r.Remove(entry("noop", "1.0"))
		r.Remove(entry("noop", "2.0"))
		r.Remove(entry("x", "1.0"))
		assert.Equal(t, []string{"noop_1.0"}, ids(r.All()))
	})
	t.Run("a default that others have joined meanwhile", func(t *testing.T) {
		r := filled(t, "2.0")
		e, err := r.Removable(noop(""))
		require.NoError(t, err)
		for _, v := range []model.Version{"10.0", "3.0"} {
			_, err := r.Add(entry("noop", v))
			require.NoError(t, err)
		}
		r.Remove(e)
		assert.Equal(t, model.Version("3.0"), preferred(t, r), "the lowest one follows")
	})
}

func TestSetDefault(t *testing.T) {
	r := filled(t, "1.0", "2.0")
	t.Run("MGT-056 to another version", func(t *testing.T) {
		require.NoError(t, r.SetDefault("noop", "2.0"))
		assert.Equal(t, model.Version("2.0"), preferred(t, r))
		require.NoError(t, r.SetDefault("noop", "2.0"))
		_, err := r.Removable(noop("1.0"))
		require.NoError(t, err)
	})
	t.Run("MGT-056 the text of an unknown version has no colons", func(t *testing.T) {
		refused(t, r.SetDefault("noop", "9.9"), fault.VersionNotFound, "Model version 9.9 does not exist for model noop")
		refused(t, r.SetDefault("noop", ""), fault.VersionNotFound, "Model version  does not exist for model noop")
		assert.Equal(t, model.Version("2.0"), preferred(t, r))
	})
	t.Run("unknown name", func(t *testing.T) {
		refused(t, r.SetDefault("x", "1.0"), fault.ModelNotFound, "Model not found: x")
	})
}

func TestOrder(t *testing.T) {
	r := registry.New()
	for _, id := range []struct {
		name    model.Name
		version model.Version
	}{{"b", "10.0"}, {"b", "9.0"}, {"b", "11.0"}, {"a", "1.0"}, {"B", "1.0"}, {"ä", "1.0"}} {
		_, err := r.Add(entry(id.name, id.version))
		require.NoError(t, err)
	}
	t.Run("MGT-049 versions ascend", func(t *testing.T) {
		entries, preferred, err := r.Versions("b")
		require.NoError(t, err)
		assert.Equal(t, []string{"b_9.0", "b_10.0", "b_11.0"}, ids(entries))
		assert.Equal(t, model.Version("10.0"), preferred)
	})
	t.Run("MGT-058 names in the order of their bytes, default versions only", func(t *testing.T) {
		assert.Equal(t, []string{"B_1.0", "a_1.0", "b_10.0", "ä_1.0"}, ids(r.Defaults()))
	})
	t.Run("a default version comes after the others", func(t *testing.T) {
		assert.Equal(t, []string{"B_1.0", "a_1.0", "b_9.0", "b_11.0", "b_10.0", "ä_1.0"}, ids(r.All()))
	})
	t.Run("MGT-001 none", func(t *testing.T) {
		assert.Empty(t, registry.New().Defaults())
		assert.Empty(t, registry.New().All())
	})
}

func TestEach(t *testing.T) {
	r := filled(t, "10.0", "9.0")
	_, err := r.Add(entry("a", "1.0"))
	require.NoError(t, err)
	var got []string
	r.Each(func(e *registry.Entry, isDefault bool) { got = append(got, fmt.Sprint(e.Archive.ID(), " ", isDefault)) })
	assert.Equal(t, []string{"a_1.0 true", "noop_9.0 false", "noop_10.0 true"}, got)
}

// TestConcurrent lets everybody work at once: whatever comes in between, a name
// that is there has a default version that is there.
func TestConcurrent(t *testing.T) {
	r := registry.New()
	const versions, rounds = 4, 200
	var all sync.WaitGroup
	for n := range versions {
		v := model.Version(fmt.Sprintf("%d.0", n))
		all.Go(func() {
			for range rounds {
				e := entry("noop", v)
				_, err := r.Add(e)
				assert.NoError(t, err)
				_ = r.SetDefault("noop", v)
				_, _ = r.Removable(noop(v))
				r.Remove(e)
			}
		})
	}
	all.Go(func() {
		for range rounds * versions {
			for _, e := range append(r.Defaults(), r.All()...) {
				assert.NotNil(t, e)
			}
			if entries, preferred, err := r.Versions("noop"); err == nil {
				assert.Contains(t, ids(entries), "noop_"+string(preferred))
			}
			if _, err := r.Find(noop("")); err != nil {
				assert.Equal(t, fault.ModelNotFound, fault.KindOf(err))
			}
		}
	})
	all.Wait()
	assert.Empty(t, r.All())
}

func BenchmarkFind(b *testing.B) {
	r := filled(b, "1.0", "2.0")
	b.ReportAllocs()
	for b.Loop() {
		if _, err := r.Find(noop("")); err != nil {
			b.Fatal(err)
		}
	}
}

func ExampleRegistry() {
	r := registry.New()
	isDefault, err := r.Add(&registry.Entry{Archive: model.Archive{Name: "noop", Version: "1.0"}})
	fmt.Println(isDefault, err)
	_, err = r.Find(model.Ref{Name: "noop", Version: "2.0"})
	fmt.Println(fault.Message(err))
	// Output:
	// true <nil>
	// Model version: 2.0 does not exist for model: noop
}

func TestClaim(t *testing.T) {
	t.Parallel()
	r := filled(t, "1.0")
	const conflict = "Model version %s is already registered for model noop"
	_, err := r.Claim("noop", "1.0")
	refused(t, err, fault.Conflict, fmt.Sprintf(conflict, "1.0"))
	release, err := r.Claim("noop", "2.0")
	require.NoError(t, err)
	_, err = r.Claim("noop", "2.0")
	refused(t, err, fault.Conflict, fmt.Sprintf(conflict, "2.0"))
	_, err = r.Find(noop("2.0"))
	assert.Equal(t, fault.VersionNotFound, fault.KindOf(err), "nobody sees it")
	other, err := r.Claim("other", "2.0")
	require.NoError(t, err)
	other()
	release()
	release, err = r.Claim("noop", "2.0")
	require.NoError(t, err, "the first one has thought better of it")
	_, err = r.Add(entry("noop", "2.0"))
	require.NoError(t, err)
	release()
	_, err = r.Claim("noop", "2.0")
	refused(t, err, fault.Conflict, fmt.Sprintf(conflict, "2.0"))
}

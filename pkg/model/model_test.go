package model_test

import (
	"cmp"
	"regexp"
	"slices"
	"testing"

	"github.com/stretchr/testify/assert"

	"github.com/torchserve-go/torchserve/pkg/model"
)

func TestDeriveName(t *testing.T) {
	for location, want := range map[string]model.Name{
		"my-model v1.2.mar":              "my_model_v1_2",
		"my model.v1.mar":                "my_model_v1",
		"x.tar.gz":                       "x_tar_gz",
		"tg.tar.gz":                      "tg_tar_gz",
		"https://h/a/densenet161.mar":    "densenet161",
		"https://h/a/d.model?v=1.2":      "d_model_v_1",
		`C:\models\mnist.mar`:            "mnist",
		"/store/_hidden.mar":             "_hidden",
		"/store/directory":               "directory",
		"/store/directory/":              "directory",
		"größe.mar":                      "gr__e",
		"https://h/x.mar/archive/latest": "latest",
		"":                               "",
	} {
		t.Run("CFG-037 MAR-079 "+location, func(t *testing.T) {
			assert.Equal(t, want, model.DeriveName(location))
		})
	}
}

func FuzzDeriveName(f *testing.F) {
	f.Add("my-model v1.2.mar")
	f.Add("/a/b.model/..")
	f.Add("\xff\x00.mar")
	word := regexp.MustCompile(`^[A-Za-z0-9_]*$`)
	f.Fuzz(func(t *testing.T, location string) {
		name := string(model.DeriveName(location))
		assert.Regexp(t, word, name)
		assert.LessOrEqual(t, len(name), len(location))
	})
}

func TestCompareVersions(t *testing.T) {
	t.Run("MGT-049 ascending, by parts", func(t *testing.T) {
		want := []model.Version{
			"0.9", "1", "1.0", "1.0.0", "1.2", "1.10", "1.10.1", "1.a", "1.b", "02", "2", "10", "18446744073709551617",
			"", "1-rc", "v1", "v10", "v2",
		}
		got := slices.Clone(want)
		slices.Reverse(got)
		slices.SortFunc(got, model.CompareVersions)
		assert.Equal(t, want, got)
	})
}

func FuzzCompareVersions(f *testing.F) {
	f.Add("2", "10", "1a")
	f.Add("1.0", "1.00", "1")
	f.Add("", ".", "..")
	f.Fuzz(func(t *testing.T, a, b, c string) {
		compare := func(x, y string) int { return model.CompareVersions(model.Version(x), model.Version(y)) }
		assert.Equal(t, cmp.Compare(compare(a, b), 0), -cmp.Compare(compare(b, a), 0))
		assert.Equal(t, a == b, compare(a, b) == 0)
		if compare(a, b) < 0 && compare(b, c) < 0 {
			assert.Negative(t, compare(a, c))
		}
	})
}

func TestParseRuntime(t *testing.T) {
	for text, want := range map[string]model.Runtime{"python": model.Python, "PYTHON3": model.Python3, "lsp": model.LSP} {
		got, ok := model.ParseRuntime(text)
		assert.True(t, ok, text)
		assert.Equal(t, want, got)
	}
	for _, text := range []string{"", "java", "python2"} {
		_, ok := model.ParseRuntime(text)
		assert.False(t, ok, text)
	}
}

func TestDevices(t *testing.T) {
	type capacity struct {
		count, workers int
		limited        bool
		ranks          int
	}
	for name, c := range map[string]struct {
		devices model.Devices
		on      int
		want    capacity
	}{
		"none":                              {model.Devices{}, 0, capacity{}},
		"all":                               {model.Devices{}, 4, capacity{count: 4}},
		"SCH-071 the CPU":                   {model.Devices{Type: "cpu", Parallel: "tp", Level: 2}, 4, capacity{ranks: 2}},
		"some":                              {model.Devices{IDs: []int{1, 3}}, 4, capacity{count: 2}},
		"SCH-069 ranks":                     {model.Devices{Parallel: "pp", Level: 2}, 5, capacity{5, 2, true, 2}},
		"SCH-069 more than there are":       {model.Devices{Parallel: "pptp", Level: 4}, 2, capacity{2, 0, true, 4}},
		"SCH-067 custom":                    {model.Devices{Parallel: "custom", Level: 2, IDs: []int{0, 1, 2}}, 4, capacity{3, 1, true, 0}},
		"parallel without a machine for it": {model.Devices{Parallel: "tp", Level: 2}, 0, capacity{ranks: 2}},
		"a kind without a level":            {model.Devices{Parallel: "tp"}, 2, capacity{count: 2}},
	} {
		got := capacity{count: c.devices.Count(c.on), ranks: c.devices.Ranks()}
		got.workers, got.limited = c.devices.Capacity(c.on)
		assert.Equal(t, c.want, got, name)
	}
}

func TestValues(t *testing.T) {
	assert.Equal(t, "default", model.Ref{Name: "m"}.VersionOrDefault())
	assert.Equal(t, "2.0", model.Ref{Name: "m", Version: "2.0"}.VersionOrDefault())
	assert.Equal(t, "m_1.0", model.Archive{Name: "m", Version: model.DefaultVersion}.ID())
	s := model.Settings{Devices: model.Devices{IDs: []int{1, 2}}}
	c := s.Clone()
	c.Devices.IDs[0] = 9
	assert.Equal(t, 1, s.Devices.IDs[0], "a clone shares nothing")
}

package yaml11_test

import (
	"encoding/json"
	"math"
	"math/big"
	"os"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/torchserve-go/torchserve/pkg/yaml11"
)

func TestPlainScalars(t *testing.T) {
	t.Parallel()
	huge, ok := new(big.Int).SetString("99999999999999999999", 10)
	require.True(t, ok)
	for text, want := range map[string]any{
		"~": nil, "null": nil, "Null": nil, "NULL": nil, "nULL": "nULL",
		"yes": true, "Yes": true, "YES": true, "on": true, "On": true, "true": true, "TRUE": true, "yEs": "yEs",
		"no": false, "off": false, "OFF": false, "False": false, "y": "y", "n": "n",
		"0": int64(0), "12": int64(12), "+12": int64(12), "-12": int64(-12),
		"0x1F": int64(31), "-0x1f": int64(-31), "010": int64(8), "0b101": int64(5),
		"1_000": int64(1000), "1:30": int64(90), "1:30:00": int64(5400), "-1:30": int64(-90),
		"0o17": "0o17", "08": "08", "0b": "0b", "1:60": "1:60", "0_": int64(0), "0b_": "0b_",
		"99999999999999999999": huge,
		"1.5":                  1.5, "-1.5": -1.5, "1.": 1.0, ".5": .5, "1.5e+3": 1500.0, "1_0.5": 10.5, "1:30.5": 90.5, "-1:30.5": -90.5,
		"1e3": "1e3", "1.5e3": "1.5e3", "-.5": "-.5",
		".inf": math.Inf(1), "-.INF": math.Inf(-1),
		"a b": "a b", "=": "=", "2001-01-01": yaml11.Timestamp("2001-01-01"), "2001-1-1": "2001-1-1", "1.2.3": "1.2.3", "é": "é",
	} {
		t.Run(text, func(t *testing.T) {
			t.Parallel()
			v, err := yaml11.Parse([]byte("k: " + text + "\n"))
			require.NoError(t, err)
			require.IsType(t, yaml11.Mapping{}, v)
			got, ok := v.(yaml11.Mapping).Lookup("k") //nolint:errcheck // just required
			require.True(t, ok)
			assert.Equal(t, want, got)
		})
	}
	v, err := yaml11.Parse([]byte(".nan"))
	require.NoError(t, err)
	f, ok := v.(float64)
	assert.True(t, ok && math.IsNaN(f))
}

func TestDocuments(t *testing.T) {
	t.Parallel()
	type m = yaml11.Mapping
	for name, c := range map[string]struct {
		text string
		want any
	}{
		"empty":                         {"", nil},
		"byte order mark":               {"\ufeffa: 1", m{{"a", int64(1)}}},
		"comments only":                 {"# nothing\n\n# here\n", nil},
		"marks of a document":           {"---\na: 1\n...\n", m{{"a", int64(1)}}},
		"directive":                     {"%YAML 1.1\n---\na: yes\n", m{{"a", true}}},
		"quotes make a text":            {"[\"yes\", 'no', \"1\"]", []any{"yes", "no", "1"}},
		"block texts":                   {"a: |\n  yes\nb: >-\n  x\n  y\n", m{{"a", "yes\n"}, {"b", "x y"}}},
		"text of two lines":             {"a: x\n  y\n", m{{"a", "x y"}}},
		"empty value":                   {"a:\nb: 1\n", m{{"a", nil}, {"b", int64(1)}}},
		"order of the document is kept": {"b: 1\na: 2\n", m{{"b", int64(1)}, {"a", int64(2)}}},
		"the last of equal keys wins":   {"a: 1\nb: 2\na: 3\n", m{{"a", int64(3)}, {"b", int64(2)}}},
		"keys have meaning, too":        {"1: a\non: b\n~: c\n'1': d\n", m{{int64(1), "a"}, {true, "b"}, {nil, "c"}, {"1", "d"}}},
		"explicit key":                  {"? a\n: 1\n", m{{"a", int64(1)}}},
		"flow style":                    {"{a: [1, {b: no}], c: }", m{{"a", []any{int64(1), m{{"b", false}}}}, {"c", nil}}},
		"empty containers":              {"a: {}\nb: []\n", m{{"a", m(nil)}, {"b", []any{}}}},
		"anchor and alias":              {"a: &x [1]\nb: *x\n", m{{"a", []any{int64(1)}}, {"b", []any{int64(1)}}}},
		"merge": {
			"base: &b {x: 1, y: 2}\nc:\n  y: 3\n  <<: *b\n",
			m{{"base", m{{"x", int64(1)}, {"y", int64(2)}}}, {"c", m{{"x", int64(1)}, {"y", int64(3)}}}},
		},
		"merge of several, the first wins": {
			"<<: [{x: 1}, {x: 2, y: 2}]\n", m{{"x", int64(1)}, {"y", int64(2)}},
		},
		"quoted << is a key": {"'<<': 1\n", m{{"<<", int64(1)}}},
		"tags": {
			"[!!str 1, !!int '7', !!float 2, !!bool 'yes', !!null '', ! 5, !!binary aGk=, !!seq [1], !!str ~]",
			[]any{"1", int64(7), 2.0, true, nil, "5", []byte("hi"), []any{int64(1)}, "~"},
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			got, err := yaml11.Parse([]byte(c.text))
			require.NoError(t, err)
			if diff := cmp.Diff(c.want, got); diff != "" {
				t.Error(diff)
			}
		})
	}
}

func TestRefused(t *testing.T) {
	t.Parallel()
	for name, text := range map[string]string{
		"open bracket":        "a: [1",
		"several documents":   "a: 1\n---\nb: 2\n",
		"tag of Java":         "a: !!javax.script.ScriptEngineManager [x]\n",
		"tag of Python":       "a: !!python/object/apply:os.system ['x']\n",
		"tag of its own":      "a: !foo 1\n",
		"tag that cannot fit": "a: !!int x\n",
		"bad base64":          "a: !!binary '?'\n",
		"unknown alias":       "a: *x\n",
		"alias of itself":     "a: &x [*x]\n",
		"merge of a text":     "<<: x\n",
		"merge of texts":      "<<: [x]\n",
		"mapping as key":      "{{a: 1}: 2}",
		"list as key":         "? [a]\n: 1\n",
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			v, err := yaml11.Parse([]byte(text))
			require.Error(t, err, "%v", v)
			assert.NotContains(t, err.Error(), "\n")
		})
	}
}

func TestBounds(t *testing.T) {
	t.Parallel()
	var bomb strings.Builder
	bomb.WriteString("a0: &a0 " + strings.Repeat("x", 1000) + "\n")
	for i := range 20 {
		prev := "*a" + string(rune('0'+i))
		bomb.WriteString("b: &a" + string(rune('1'+i)) + " [" + strings.Repeat(prev+", ", 9) + prev + "]\n")
	}
	for name, text := range map[string]string{
		"size":            strings.Repeat("#", yaml11.MaxSize+1),
		"nested flow":     strings.Repeat("[", 300) + strings.Repeat("]", 300),
		"nested mappings": strings.Repeat("{a: ", 300) + strings.Repeat("}", 300),
		"marks in a row":  strings.Repeat("- ", 300) + "1",
		"tags in a row":   "a: " + strings.Repeat("!!str ", 300) + "1",
		"indentation":     "a:\n" + strings.Repeat(" ", 1100) + "b: 1\n",
		"billion laughs":  bomb.String(),
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			_, err := yaml11.Parse([]byte(text))
			require.ErrorIs(t, err, yaml11.ErrTooLarge)
		})
	}
	_, err := yaml11.Parse([]byte(strings.Repeat("- 1\n", 2000)))
	require.NoError(t, err, "a long list is not a deep one")
}

func TestJSON(t *testing.T) {
	t.Parallel()
	v, err := yaml11.Parse([]byte("a: [1, 1.0, 1.5e+20, .nan, .inf, -.inf, yes, ~, \"q\\\"\\n\", !!binary aGk=]\n1: x\non: y\n~: z\n2.5: 99999999999999999999\n"))
	require.NoError(t, err)
	assert.Equal(t, `{"!!map":[["a",[1,1.0,1.5e+20,NaN,Infinity,-Infinity,true,null,"q\"\n",{"!!binary":"aGk="}]],`+
		`[1,"x"],[true,"y"],[null,"z"],[2.5,99999999999999999999]]}`, string(yaml11.JSON(v)))
	v, err = yaml11.Parse([]byte("day: 2020-01-01\n\"!!day\": {\"!!map\": '2020-01-01'}\n"))
	require.NoError(t, err)
	assert.Equal(t, `{"!!map":[["day",{"!!timestamp":"2020-01-01"}],["!!day",{"!!map":[["!!map","2020-01-01"]]}]]}`,
		string(yaml11.JSON(v)), "what looks like a mark is none")
	assert.Equal(t, "null", string(yaml11.JSON(nil)))
}

// What a worker without PyYAML reads; test/python reads the same file.
func TestHandedOver(t *testing.T) {
	t.Parallel()
	document, err := os.ReadFile("../../test/vectors/yaml11/types.yaml")
	require.NoError(t, err)
	want, err := os.ReadFile("../../test/vectors/yaml11/types.json")
	require.NoError(t, err)
	v, err := yaml11.Parse(document)
	require.NoError(t, err)
	assert.Equal(t, strings.TrimSpace(string(want)), string(yaml11.JSON(v)))
}

func FuzzParse(f *testing.F) {
	for _, seed := range []string{
		"a: 1\nb: [yes, 0x1F, 1:30]\n", "&a [*a]", "<<: [{a: 1}]", "!!binary x", "? [a]\n: 1", "%YAML 1.1\n---\n", "a: |\n  x", "{a: {b: }}",
		"- - - a", "a: 'x\n\n y'", "!!int \"1\"", "1_:_", "*", "&", "!", "!<tag:yaml.org,2002:str> 1", "\xff", "a: >+\n\n",
	} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, text []byte) {
		v, err := yaml11.Parse(text)
		if err != nil {
			assert.NotContains(t, err.Error(), "\n")
			return
		}
		out := yaml11.JSON(v)
		if s := string(out); !strings.Contains(s, "NaN") && !strings.Contains(s, "Infinity") {
			assert.True(t, json.Valid(out), "%s", out)
		}
	})
}

package gson_test

import (
	"bytes"
	"encoding/json"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/torchserve-go/torchserve/pkg/gson"
)

func TestParse(t *testing.T) {
	t.Parallel()
	type m = map[string]any
	for name, c := range map[string]struct {
		text string
		want any
	}{
		"plain JSON":             {`{"a":"x","b":[1,-2.50,true,false,null],"c":{}}`, m{"a": "x", "b": []any{json.Number("1"), json.Number("-2.50"), true, false, nil}, "c": m{}}},
		"white space around":     {" \t\r\n{} \t\r\n", m{}},
		"byte order mark":        {"\ufeff{}", m{}},
		"guard against scripts":  {")]}'\n{}", m{}},
		"comments":               {"/* a */ # b\n // c\r{/**/a/* d */:// e\n1}", m{"a": json.Number("1")}},
		"single quotes":          {`{'a':'"'}`, m{"a": `"`}},
		"words":                  {`[a.b, a-b, a"b, a'b, 01, +1, .5, 1., 0x1, NaN]`, []any{"a.b", "a-b", `a"b`, "a'b", "01", "+1", ".5", "1.", "0x1", "NaN"}},
		"words in any case":      {`[TRUE,False,NULL]`, []any{true, false, nil}},
		"quotes make a text":     {`["true","null","1"]`, []any{"true", "null", "1"}},
		"other signs":            {`{a=1;b=>2;c:3}`, m{"a": json.Number("1"), "b": json.Number("2"), "c": json.Number("3")}},
		"missing elements":       {`[,1;;2,]`, []any{nil, json.Number("1"), nil, json.Number("2"), nil}},
		"the last name counts":   {`{a:1,a:2}`, m{"a": json.Number("2")}},
		"escapes":                {`"\b\f\n\r\t\"\'\\\/\u00fc"`, "\b\f\n\r\t\"'\\/ü"},
		"an escaped line end":    {"'a\\\nb'", "a\nb"},
		"a pair of surrogates":   {`"\ud83d\ude00"`, "😀"},
		"halves of a pair":       {`"\ud83d|\ude00|\ud83d\u0041"`, "\ufffd|\ufffd|\ufffdA"},
		"line ends in a text":    {"\"a\nb\"", "a\nb"},
		"bytes that are no text": {"'\xff\xfe'", "\ufffd"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			got, err := gson.Parse([]byte(c.text))
			require.NoError(t, err)
			assert.Equal(t, c.want, got)
		})
	}
}

func TestRefused(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct{ text, want string }{
		"nothing":                      {"", "unexpected end at byte 0"},
		"a comment only":               {"# x", "unexpected end at byte 3"},
		"a comment without an end":     {"{/*}", "comment without an end at byte 1"},
		"text after the document":      {"{} x", "text after the document at byte 2"},
		"a comment after the document": {"{} // x", "text after the document at byte 2"},
		"an open object":               {"{a:1", "an object without an end at byte 4"},
		"a comma at its end":           {"{a:1,}", "a name is missing at byte 5"},
		"an open array":                {"[1", "an array without an end at byte 2"},
		"an open text":                 {"'a", "unexpected end at byte 2"},
		"an open escape":               {`'\`, "unexpected end at byte 2"},
		"an unknown escape":            {`'\x'`, "unknown escape 'x' at byte 3"},
		"half a character number":      {`'\u12`, "unexpected end at byte 3"},
		"no character number":          {`'\u12zz'`, "not a character number at byte 3"},
		"a sign in a character number": {`'\u+123'`, "not a character number at byte 3"},
		"half a pair":                  {`'\ud83d\u1`, "unexpected end at byte 9"},
		"a name only":                  {"{a}", "a name without a value at byte 2"},
		"a sign only":                  {"{:1}", "a name is missing at byte 1"},
		"two words":                    {"{a:b c:d}", "an object without an end at byte 5"},
		"no value":                     {"{a:,}", "a value is missing at byte 3"},
		"two values":                   {"[1 2]", "an array without an end at byte 3"},
		"nested too deeply":            {strings.Repeat("[", 99999), "nested too deeply at byte 256"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			v, err := gson.Parse([]byte(c.text))
			assert.Nil(t, v)
			assert.EqualError(t, err, c.want)
		})
	}
}

// FuzzParse: what the standard library reads is read with the same meaning.
func FuzzParse(f *testing.F) {
	for _, seed := range []string{
		`{"a":[1,true,null,"x"]}`, `{model={'a'=>m;b:h}}`, "/* */ # c\n[1,,]", `{"a":"\ud83d\ude00\ud800"}`, "\ufeff{}", `{"a`, "[[[[", "'\\\n'", "-0.5e+7",
	} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, text []byte) {
		got, err := gson.Parse(text)
		d := json.NewDecoder(bytes.NewReader(text))
		d.UseNumber()
		var want any
		if d.Decode(&want) != nil || !json.Valid(text) || !utf8.Valid(text) || bytes.Count(text, []byte("["))+bytes.Count(text, []byte("{")) > 255 {
			return
		}
		require.NoError(t, err)
		require.Equal(t, want, got)
	})
}

package config

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func TestProperties(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		text string
		want []property
	}{
		"CFG-005 separators":            {"a = b  \nc : d\ne f\ng\th\ni\nj=\n", []property{{"a", "b  "}, {"c", "d"}, {"e", "f"}, {"g", "h"}, {"i", ""}, {"j", ""}}},
		"CFG-005 only one separator":    {"a==b\nc = : d\ne =:= f", []property{{"a", "=b"}, {"c", ": d"}, {"e", ":= f"}}},
		"CFG-005 comments":              {"# a=1\n ! b=2 \\\nc=3 # no comment\n\n \t\f\n#\n", []property{{"c", "3 # no comment"}}},
		"CFG-005 continuation":          {"models={\\\n  \"a\": \\\n\t1\\\n}\nb=2", []property{{"models", `{"a": 1}`}, {"b", "2"}}},
		"CFG-005 even backslashes":      {"a=b\\\\\nc=d\\\\\\\n  e", []property{{"a", `b\`}, {"c", `d\e`}}},
		"CFG-005 line ends":             {"a=1\r\nb=2\rc=3\\\r\n   4\\\r 5", []property{{"a", "1"}, {"b", "2"}, {"c", "345"}}},
		"CFG-005 continued key":         {"lo\\\n  ng=1\nx\\\n =2", []property{{"long", "1"}, {"x", "2"}}},
		"CFG-005 continued comment":     {"\\\n#a=1\n\\\n!b=2\n\\\n\n\\", []property{{"#a", "1"}, {"!b", "2"}}},
		"CFG-005 comment in the middle": {"a=1,\\\n#2,\\\n3", []property{{"a", "1,#2,3"}}},
		"CFG-005 empty continuation":    {"a=1\\\n\nb=2", []property{{"a", "1"}, {"b", "2"}}},
		"CFG-005 end of file":           {"a=1\\", []property{{"a", "1"}}},
		"CFG-005 escapes":               {`a=\t\n\r\f\\u0041|\u0041\u00e9\q\=C:\models`, []property{{"a", "\t\n\r\f\\u0041|Aéq=C:models"}}},
		"CFG-005 escapes in keys":       {`a\ b\:c\=\u0041=1`, []property{{"a b:c=A", "1"}}},
		"CFG-005 escaped blank":         {`a=\ b`, []property{{"a", " b"}}},
		"CFG-005 the last wins":         {"a=1\nb=2\na=3", []property{{"a", "3"}, {"b", "2"}}},
		"CFG-005 surrogates":            {`a=\ud83d\ude00 \ud83dx \\ud83d`, []property{{"a", "\U0001F600 \uFFFDx \\ud83d"}}},
		"no key":                        {"=1\n:2\na=3", []property{{"a", "3"}}},
		"no expansion":                  {"a=${b}$$c", []property{{"a", "${b}$$c"}}},
		"CFG-007 UTF-8":                 {"\ufeffa=/modèles/日本", []property{{"a", "/modèles/日本"}}},
		"CFG-007 ISO-8859-1":            {"a=mod\xe8les", []property{{"a", "modèles"}}},
		"nothing":                       {"", []property{}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			got, err := parseProperties([]byte(c.text))
			require.NoError(t, err)
			assert.Equal(t, c.want, got)
		})
	}
	for _, text := range []string{`a=\u`, `a=\u00`, `a=\u00g0`, `a\u+123=1`, `a=\ud83d\ude0`} {
		t.Run("CFG-006 "+text, func(t *testing.T) {
			t.Parallel()
			_, err := parseProperties([]byte(text))
			assert.EqualError(t, err, `Malformed \uxxxx encoding.`)
		})
	}
}

// quote writes a text so that Java reads it back.
func quote(text string) string {
	var b strings.Builder
	for _, r := range text {
		switch r {
		case '\n':
			b.WriteString(`\n`)
		case '\r':
			b.WriteString(`\r`)
		case '\t':
			b.WriteString(`\t`)
		case '\f':
			b.WriteString(`\f`)
		case '\\', '=', ':', '#', '!', ' ':
			b.WriteRune('\\')
			b.WriteRune(r)
		default:
			b.WriteRune(r)
		}
	}
	return b.String()
}

func FuzzProperties(f *testing.F) {
	for _, seed := range []string{
		"a = b  \n", "models={\\\r\n  1\\\n}", `k\:=\u00e9\ud83d\ude00`, "=x\n#c\\\n!d", "a=\xe9", "\ufeffa b", `x\`, "\\\n#a=1",
	} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		got, err := parseProperties(data)
		if err != nil {
			require.ErrorIs(t, err, errMalformed)
			return
		}
		lines := make([]string, len(got))
		for i, p := range got {
			lines[i] = quote(p.key) + "=" + quote(p.value)
		}
		again, err := parseProperties([]byte(strings.Join(lines, "\r\n")))
		require.NoError(t, err)
		require.Equal(t, got, again)
	})
}

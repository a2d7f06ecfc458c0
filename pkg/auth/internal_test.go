package auth

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/rs/zerolog"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// FuzzBearer compares the parser with the grammar of TOK §7 as 0.12 has it.
func FuzzBearer(f *testing.F) {
	for _, seed := range []string{
		"", "Bearer", "Bearer ", "Bearer k", "Bearer\tk", "Bearer  k", "Bearerk", "bearer k", "Basic k",
		"Bearer a b", "Bearer k ", " Bearer k", "Bearer " + scheme, "Bearer \u00a0", "Bearer \x00", "Bearer k\n",
	} {
		f.Add(seed)
	}
	grammar := regexp.MustCompile(`\ABearer[ \t\n\v\f\r]+([^ \t\n\v\f\r]+)\z`)
	f.Fuzz(func(t *testing.T, value string) {
		want := ""
		if m := grammar.FindStringSubmatch(value); m != nil {
			want = m[1]
		}
		got, ok := bearer([]string{value})
		assert.Equal(t, want, got)
		assert.Equal(t, want != "", ok)
		twice, _ := bearer([]string{value, value})
		assert.Equal(t, want, twice)
		_, ok = bearer([]string{value, value + "x"})
		assert.False(t, ok)
	})
}

// FuzzKeysFile proves that no content breaks the reader, gets around its rules
// or is quoted in its errors.
func FuzzKeysFile(f *testing.F) {
	const good = `{"management": {"key": "0123456789abcdef"}, "inference": {"key": ["0123456789abcdeg"]}}`
	for _, seed := range []string{
		good, "", "null", "{}", "[", `"` + strings.Repeat("[", 100), good + " ", good + "x",
		strings.Replace(good, `"0123456789abcdef"`, `["0123456789abcdef", "0123456789abcdeg"]`, 1),
		strings.Replace(good, `"0123456789abcdef"`, `"0123456789abcdef", "expiration time": "2024-02-16T21:12:24.801167Z"`, 1),
		strings.Replace(good, `"0123456789abcdef"`, `1234567890123456789`, 1),
		strings.Replace(good, `"key"`, `"0123456789abcdef"`, 1),
	} {
		f.Add([]byte(seed))
	}
	quoted := regexp.MustCompile(`[[:graph:]]{16,}`)
	known := regexp.MustCompile(`key_file.json|inference|management`)
	f.Fuzz(func(t *testing.T, text []byte) {
		r, err := parseKeysFile(text)
		if err != nil {
			assert.NotRegexp(t, quoted, known.ReplaceAllString(err.Error(), ""))
			return
		}
		assert.NotEmpty(t, r[Inference].digests)
		assert.NotEmpty(t, r[Management].digests)
		for _, d := range r[Inference].digests {
			assert.NotContains(t, r[Management].digests, d)
		}
	})
}

func TestHolder(t *testing.T) {
	t.Parallel()

	t.Run("TOK-003 a key has one holder", func(t *testing.T) {
		t.Parallel()
		now := time.Unix(0, 0)
		r := ring{generate(32, now.Add(1)), generate(32, now), generate(32, time.Time{})}
		for text, want := range map[string]string{
			r[Inference].text: "inference true", r[Management].text: "inference false", // expired
			r[API].text: "API true", "": "inference false", r[API].text[1:]: "inference false",
		} {
			kind, ok := r.holder(text, now)
			assert.Equal(t, want, fmt.Sprint(kind, " ", ok))
		}
	})
}

func TestLimiterStaysSmall(t *testing.T) {
	t.Parallel()
	var l limiter
	now := time.Unix(0, 0)
	for i := range 3 * maxAddresses {
		l.refused(fmt.Sprintf("10.%d.%d.%d:1", i>>16, i>>8&255, i&255), now)
		require.LessOrEqual(t, len(l.recent)+len(l.earlier), 2*maxAddresses)
	}
	assert.Equal(t, maxAddresses, len(l.recent))
	for range tolerated {
		assert.Zero(t, l.refused("@", now), "a unix socket has no address")
	}
	assert.Equal(t, penalty, l.refused("", now))
}

func quiet(tb testing.TB) *Keys {
	tb.Helper()
	k, err := Open(Config{
		Enabled: true, KeyFile: filepath.Join(tb.TempDir(), "key_file.json"), KeyBytes: 32, Expiry: time.Hour,
		RefusalStatus: http.StatusBadRequest, Log: zerolog.Nop(), HandlerLog: zerolog.Nop(),
	})
	require.NoError(tb, err)
	return k
}

// guarded returns a guarded route and a request that it lets through.
func guarded(k *Keys) (http.Handler, *http.Request) {
	next := http.HandlerFunc(func(http.ResponseWriter, *http.Request) {})
	r := httptest.NewRequest(http.MethodPost, "/predictions/m", http.NoBody)
	return k.TokenAuthorizationHandler(Inference, nil)(next), r
}

func TestGuardAllocatesNothing(t *testing.T) {
	k := quiet(t)
	h, r := guarded(k)
	values := []string{"Bearer " + k.ring.Load()[Inference].text}
	assert.Zero(t, testing.AllocsPerRun(100, func() {
		r.Header["Authorization"] = values
		h.ServeHTTP(nil, r)
	}))
}

func BenchmarkGuard(b *testing.B) {
	k := quiet(b)
	h, r := guarded(k)
	values := []string{"Bearer " + k.ring.Load()[Inference].text}
	b.ReportAllocs()
	for b.Loop() {
		r.Header["Authorization"] = values
		h.ServeHTTP(nil, r)
	}
}

package logging

import (
	"bytes"
	"encoding/json"
	"errors"
	"net/url"
	"strings"
	"testing"

	"github.com/rs/zerolog"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/torchserve-go/torchserve/pkg/visible"
)

func TestTarget(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct{ target, want string }{
		"no query":                  {"/models/sig=1", "/models/sig=1"},
		"nothing secret":            {"/models?url=https://h/a.mar?x=1&sigma=2", "/models?url=https://h/a.mar?x=1&sigma=2"},
		"a parameter":               {"/models?url=u&X-Amz-Signature=abc&synchronous=true", "/models?url=u&X-Amz-Signature=REDACTED&synchronous=true"},
		"the last parameter":        {"/models?sig=abc", "/models?sig=REDACTED"},
		"any case":                  {"/models?SIG=abc&x-amz-SECURITY-token=def", "/models?SIG=REDACTED&x-amz-SECURITY-token=REDACTED"},
		"all names":                 {"/?X-Amz-Credential=a&X-Amz-Security-Token=b&Signature=c&X-Goog-Signature=d&X-Goog-Credential=e", "/?X-Amz-Credential=REDACTED&X-Amz-Security-Token=REDACTED&Signature=REDACTED&X-Goog-Signature=REDACTED&X-Goog-Credential=REDACTED"},
		"in a raw URL":              {"/models?url=https://h/a.mar?X-Amz-Signature=abc&sig=d", "/models?url=https://h/a.mar?X-Amz-Signature=REDACTED&sig=REDACTED"},
		"in an encoded URL":         {"/models?url=https%3A%2F%2Fh%2Fa.mar%3FX-Amz-Signature%3Dabc%26b%3D1&c=2", "/models?url=https%3A%2F%2Fh%2Fa.mar%3FX-Amz-Signature%3DREDACTED%26b%3D1&c=2"},
		"in a URL encoded twice":    {"/models?url=https%253A%252F%252Fh%253Fsig%253Dabc%2526b", "/models?url=https%253A%252F%252Fh%253Fsig%253DREDACTED%2526b"},
		"with an encoded separator": {"/models?sig=a%26b&c=1", "/models?sig=REDACTED&c=1"},
		"after a semicolon":         {"/models?Signature=abc;sig=d&a=1;sig=e", "/models?Signature=REDACTED&a=1;sig=REDACTED"},
		"an encoded name":           {"/models?%73ig=abc", "/models?%73ig=REDACTED"},
		"an empty value":            {"/models?sig=&a=1", "/models?sig=&a=1"},
		"user and password":         {"/models?url=https://me:pass@h/a.mar", "/models?url=https://REDACTED@h/a.mar"},
		"password with at sign":     {"/models?url=https://me:p@s%40s@h/a@b.mar", "/models?url=https://REDACTED@h/a@b.mar"},
		"password with slash":       {"/models?url=https://me:p%2Fs@h/a.mar", "/models?url=https://REDACTED@h/a.mar"},
		"encoded user":              {"/models?url=https%3a%2f%2fme%3apass%40h%2fa@b.mar&x=1", "/models?url=https%3a%2f%2fREDACTED%40h%2fa@b.mar&x=1"},
		"user and signature":        {"/models?url=ftp://me@h/a.mar?sig=abc", "/models?url=ftp://REDACTED@h/a.mar?sig=REDACTED"},
		"no user":                   {"/models?url=https://h/a@b.mar&d=@", "/models?url=https://h/a@b.mar&d=@"},
		"no URL":                    {"/models?url=a@b.mar", "/models?url=a@b.mar"},
		"half an escape":            {"/models?url=https://a%4@h%", "/models?url=https://REDACTED@h%"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			assert.Equal(t, c.want, string(appendTarget(nil, c.target)))
		})
	}
}

func TestFailureText(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct{ text, want string }{
		"no URL":              {"open a b: sig=1", "open a b: sig=1"},
		"nothing secret":      {"from: http://h/a.mar?x=1: refused", "from: http://h/a.mar?x=1: refused"},
		"user and signature":  {"from: http://me:pass@h/a.mar?a=1&X-Amz-Signature=abc: dial: refused", "from: http://REDACTED@h/a.mar?a=1&X-Amz-Signature=REDACTED dial: refused"},
		"the last word":       {"no http://me@h/?sig=abc", "no http://REDACTED@h/?sig=REDACTED"},
		"the only word":       {"ftp://me:pass@h", "ftp://REDACTED@h"},
		"in quotes, and more": {"Get \"https://me@h/\": to  file:///a and http://h?token=x", "Get \"https://REDACTED@h/\": to  file:///a and http://h?token=REDACTED"},
	} {
		t.Run("D-MGT-1 "+name, func(t *testing.T) {
			t.Parallel()
			var b bytes.Buffer
			logger := zerolog.New(&b)
			logger.Warn().Err(errors.New(c.text)).Msg("m")
			assert.Equal(t, "m\n"+c.want+"\n", string(appendBody(nil, b.Bytes(), 0)))
			var object map[string]any
			line := appendObject(nil, &entry{members: b.Bytes()})
			require.NoError(t, json.Unmarshal(line, &object), "%s", line)
			assert.Equal(t, c.want, object["error.message"])
		})
	}
}

func TestMessage(t *testing.T) {
	t.Parallel()
	const line = "\nInitial Models: a=http://me:p,w@h/x.mar?sig=abc,ftp://you:pw@h/y.mar?a=b&token=def\nLog dir: \\x \"q\""
	for logger, want := range map[string]string{
		ModelServer: "\nInitial Models: a=http://REDACTED@h/x.mar?sig=REDACTED,ftp://REDACTED@h/y.mar?a=b&token=REDACTED\nLog dir: \\x \"q\"",
		ModelName:   line,
	} {
		t.Run("D-MGT-1 CFG-001 "+logger, func(t *testing.T) {
			t.Parallel()
			for _, form := range []bool{false, true} {
				var b bytes.Buffer
				logs, err := Open(Config{Dir: t.TempDir(), MetricsDir: t.TempDir(), Console: &b, JSON: form})
				require.NoError(t, err)
				l := logs.Logger(logger, MainThread)
				l.Info().Int("n", 1).Msg(line)
				require.NoError(t, logs.Close())
				if form {
					var object map[string]any
					require.NoError(t, json.Unmarshal(b.Bytes(), &object), "%s", b.String())
					assert.Equal(t, want, object["message"])
					assert.InDelta(t, 1, object["n"], 0)
					continue
				}
				assert.True(t, strings.HasSuffix(b.String(), " - "+want+" n=1\n"), b.String())
			}
		})
	}
}

func FuzzTarget(f *testing.F) {
	f.Add("/models?url=https://me:pass@h/a.mar?X-Amz-Signature=1&b=%3D", "s3cr%26et")
	f.Add("/?%2525=url=a://%", "&@/")
	f.Fuzz(func(t *testing.T, target, secret string) {
		shown := string(appendTarget(nil, target))
		assert.NotContains(t, shown, "\n")
		if !strings.Contains(target, "?") {
			assert.Equal(t, string(visible.Append(nil, target)), shown)
		}
		const mark = "k3y" // so that the secret is not part of the rest by chance
		hidden := url.QueryEscape(mark + secret + mark)
		for _, in := range []string{"/m?sig=" + hidden, "/m?url=" + url.QueryEscape("http://h/?Signature="+hidden), "/m?url=http://" + hidden + "@h/"} {
			assert.NotContains(t, string(appendTarget(nil, in)), mark, in)
		}
	})
}

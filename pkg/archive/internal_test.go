package archive

import (
	"net/http"
	"net/netip"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/rs/zerolog"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/torchserve-go/torchserve/pkg/yaml11"
)

func TestBaseName(t *testing.T) {
	t.Parallel()
	for location, want := range map[string]string{
		"m.mar": "m.mar", "a/m.mar": "m.mar", `a\m.mar`: "m.mar", "a/": "", "/": "", ".": ".",
		"http://h/m.mar": "m.mar", "HTTPS://h/d/m.mar?sig=a/b#/c": "m.mar", "http://h": "", "http://h/": "", "http://h?x/y": "",
		"http://h/a%2Fm.mar": "a%2Fm.mar", "file:///d/m.mar": "m.mar", "file:/d/m.mar": "m.mar", "jar:file:/x.jar!/m.mar": "m.mar",
		"s3://b/m.mar?x=/y": "y", "ftp://h/m.mar;v=1": "m.mar;v=1", "http:m.mar": "m.mar",
	} {
		assert.Equal(t, want, baseName(location), location)
	}
}

// TestSignature compares with the signatures that botocore's S3SigV4Auth makes
// of the same values.
func TestSignature(t *testing.T) {
	t.Parallel()
	at := time.Date(2024, 5, 6, 7, 8, 9, 0, time.FixedZone("", 3600))
	keys := Credentials{AccessKey: "AKIDEXAMPLE", SecretKey: "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY", Region: "us-east-1"}
	session := keys
	session.Session = "token/with+signs=="
	for name, c := range map[string]struct {
		url       string
		keys      Credentials
		uri       string
		headers   string
		signature string
	}{
		"MAR-056 a plain path": {
			"https://bucket.s3.amazonaws.com/dir/m.mar", keys, "/dir/m.mar",
			"host;x-amz-content-sha256;x-amz-date", "19d1c0366036a5b43bdd9f40eca5d81dd2d50ff3cc68673e20fd90ded81de9d6",
		},
		"MAR-056 a path and a query in need of escapes, a port": {
			"https://bucket.s3.amazonaws.com:8443/d%20r/a+b~c%2Fé.mar?b=2&a-b=%2F&a=x+y&flag", keys,
			"/d%20r/a%2Bb~c/%C3%A9.mar?a=x%20y&a-b=%2F&b=2&flag=",
			"host;x-amz-content-sha256;x-amz-date", "7474a36c898e1d57f89645500440b80cc5cd98868bc3ebb69ae0d32de235b5de",
		},
		"MAR-056 a session token": {
			"https://bucket.s3.amazonaws.com/", session, "/",
			"host;x-amz-content-sha256;x-amz-date;x-amz-security-token", "9dd7c9f530f7135a3ae92759f570509ac83e9972ae974ac324beb5535431b376",
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, c.url, http.NoBody)
			require.NoError(t, err)
			require.NoError(t, signRequest(req, c.keys, at))
			assert.Equal(t, c.uri, req.URL.RequestURI())
			assert.Equal(t, "20240506T060809Z", req.Header.Get("x-amz-date"))
			assert.Equal(t, c.keys.Session, req.Header.Get("x-amz-security-token"))
			assert.Equal(t, "AWS4-HMAC-SHA256 Credential=AKIDEXAMPLE/20240506/us-east-1/s3/aws4_request, SignedHeaders="+
				c.headers+", Signature="+c.signature, req.Header.Get("Authorization"))
		})
	}
}

func TestGuard(t *testing.T) {
	t.Parallel()
	patterns := func(texts ...string) []*regexp.Regexp {
		var list []*regexp.Regexp
		for _, text := range texts {
			list = append(list, regexp.MustCompile(`(?i)\A(?:`+text+`)\z`))
		}
		return list
	}
	const link, loop, private, public = "169.254.169.254", "127.0.0.1", "10.1.2.3", "93.184.216.34"
	for name, c := range map[string]struct {
		allowed    []*regexp.Regexp
		strict     bool
		host, addr string
		refused    bool
	}{
		"link-local":                          {patterns(".*"), false, "meta", link, true},
		"link-local, its host is named":       {patterns(`http://meta/.*`), false, "META", link, false},
		"link-local, its address is named":    {patterns(`http://169\.254\.169\.254/.*`), false, link, link, false},
		"named without escapes":               {patterns(`x|http://169.254.169.254/.*`), false, link, link, false},
		"a pattern that only matches":         {patterns(`http://169\.254\.\d+\.254/.*`), false, link, link, true},
		"a longer name is another host":       {patterns(`http://meta\.example/.*`, `http://my-meta/.*`, `http://xmeta/.*`), false, "meta", link, true},
		"the name in the middle of a pattern": {patterns(`https?://(other|meta)(:\d+)?/.*`), false, "meta", link, false},
		"IPv6 link-local":                     {nil, false, "meta", "fe80::1%eth0", true},
		"IPv6 link-local, named":              {patterns(`http://\[fe80::1\]/.*`), false, "fe80::1", "fe80::1", false},
		"mapped to IPv6":                      {nil, false, "meta", "::ffff:169.254.169.254", true},
		"through NAT64":                       {nil, false, "meta", "64:ff9b::a9fe:a9fe", true},
		"through NAT64 of one's own":          {nil, false, "meta", "64:ff9b:1::a9fe:a9fe", true},
		"translated":                          {nil, false, "meta", "::ffff:0:169.254.169.254", true},
		"IPv4-compatible":                     {nil, false, "meta", "::169.254.169.254", true},
		"6to4":                                {nil, false, "meta", "2002:a9fe:a9fe::1", true},
		"6to4 of a public one":                {nil, true, "h", "2002:5db8:d822::1", false},
		"a cloud's own":                       {nil, false, "meta", "fd00:ec2::254", true},
		"multicast":                           {nil, false, "meta", "224.0.0.1", true},
		"loopback":                            {nil, false, "h", loop, false},
		"private":                             {nil, false, "h", private, false},
		"public":                              {nil, true, "h", public, false},
		"strict, loopback":                    {nil, true, "h", loop, true},
		"strict, IPv6 loopback":               {nil, true, "h", "::1", true},
		"strict, 6to4 of a private one":       {nil, true, "h", "2002:a01:203::1", true},
		"strict, private":                     {nil, true, "h", private, true},
		"strict, private although named":      {patterns("http://h/.*"), true, "h", private, true},
		"strict, IPv6 private":                {nil, true, "h", "fd12::1", true},
		"strict, shared":                      {nil, true, "h", "100.64.1.1", true},
		"strict, this machine":                {nil, true, "h", "0.0.0.0", true},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			err := guard{allowed: c.allowed, strict: c.strict}.address(c.host, netip.MustParseAddr(c.addr))
			assert.Equal(t, c.refused, err != nil, "%v", err)
		})
	}
	g := guard{}
	for _, host := range []string{"example.com", "h2o", "127.0.0.1", "10.0.0.1.", "model-1.store", "dead.beef", "xn--bcher-kva.example"} {
		require.NoError(t, g.host(host), host)
	}
	for _, host := range []string{"2852039166", "0xA9FEA9FE", "169.254.43518", "169.254.169.0xfe", "169.254.169.254.", "1.2.3.4.5", "0x"} {
		require.Error(t, g.host(host), host)
	}
}

func TestRedact(t *testing.T) {
	t.Parallel()
	for location, want := range map[string]string{
		"https://u:p@h/m.mar?sig=s#f": "https://h/m.mar",
		"https://u:p@h/%zz?sig=s":     "https://…",
		"m.mar":                       "m.mar",
	} {
		assert.Equal(t, want, redact(location))
	}
}

func FuzzEntryPath(f *testing.F) {
	for _, seed := range []string{"a/b", "../x", "/abs", "a/../../x", "./a", "a//b", "..", "", "a\\..\\b", "a\x00b", "m/../../x"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, name string) {
		for _, path := range []func(string) (string, error){entryPath, strippedPath} {
			p, err := path(name)
			if err != nil {
				continue
			}
			assert.True(t, filepath.IsLocal(p), "%q", p)
			assert.True(t, strings.HasPrefix(filepath.Join("dest", p)+"/", "dest/"), "%q", p)
			assert.NotContains(t, p, "\x00")
		}
	})
}

func FuzzManifest(f *testing.F) {
	for _, seed := range []string{
		`{"model":{"modelName":"m","modelVersion":2.50}}`, `{model={'modelName'=>m;handler:h}}`, `/* */{}`, `{"a":[1,,]}`, `{"a":"\ud83d\ude00"}`, `null`, "\ufeff{}", `{"a`,
	} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, text []byte) {
		m, err := parseManifest(text)
		if err != nil {
			return
		}
		again, err := parseManifest(append([]byte(" /* again */ "), text...))
		if strings.HasPrefix(string(text), "\ufeff") {
			return // the mark counts at the beginning only
		}
		require.NoError(t, err)
		assert.Equal(t, m, again)
	})
}

func FuzzModelConfig(f *testing.F) {
	for _, seed := range []string{"minWorkers: 1\nmaxWorkers: 0x2\n", "torchrun: {nnodes: 2}\n", "deviceIds: [0, a]\n", "1: x\n", "a: &a [*a]\n", "batchSize: 1.5\n", "useVenv: no\n"} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, text []byte) {
		v, err := yaml11.Parse(text)
		document, ok := v.(yaml11.Mapping)
		if err != nil || !ok {
			return
		}
		r := configReader{log: zerolog.Nop(), devices: 2}
		for _, e := range document {
			r.read(javaText(e.Key), e.Value)
		}
		c := r.finish()
		for _, n := range []*int{c.MinWorkers, c.BatchSize, c.MaxNumSequence, c.MaxSequenceJobQueueSize, c.MaxAsyncRequests} {
			assert.True(t, n == nil || *n >= 1)
		}
		for _, d := range []*time.Duration{c.ResponseTimeout, c.StartupTimeout} {
			assert.True(t, d == nil || *d > 0)
		}
		for _, id := range c.DeviceIDs {
			assert.True(t, id == 0 || id == 1)
		}
		if w, ok := c.Workers(); ok {
			assert.True(t, w.Min >= 1 && w.Max >= w.Min)
		}
	})
}

func FuzzURL(f *testing.F) {
	for _, seed := range []string{"http://h/m.mar", "file:///x", "s3://b/x", "a/../b", "https://u:p@h/x?y", "http://[::1]/x", ".", "/", `a\b`, "http://h/%2e%2e/x"} {
		f.Add(seed)
	}
	s := New(Config{ModelStore: "/store", AllowedURLs: []*regexp.Regexp{regexp.MustCompile(`\A(?:https://good/.*)\z`)}})
	f.Fuzz(func(t *testing.T, location string) {
		base, err := s.check(location)
		if err != nil {
			return
		}
		assert.NotContains(t, base, "/")
		assert.NotContains(t, base, "..")
		assert.NotEqual(t, ".", base)
		if hasScheme(location) {
			assert.True(t, strings.HasPrefix(location, "https://good/"), location)
			assert.NotEmpty(t, base)
			assert.NotContains(t, redact(location), "?")
		}
	})
}

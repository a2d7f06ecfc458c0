package archive_test

import (
	"bytes"
	"context"
	"encoding/binary"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"net/url"
	"strings"
	"sync"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/torchserve-go/torchserve/pkg/archive"
	"github.com/torchserve-go/torchserve/pkg/fault"
)

func TestRedirects(t *testing.T) {
	t.Parallel()
	h := newHost(t, func(w http.ResponseWriter, r *http.Request) {
		http.Redirect(w, r, r.URL.Query().Get("to"), http.StatusFound)
	})
	other := newHost(t, serve(zipped(t, noop())))
	otherName := strings.Replace(other.URL, "127.0.0.1", "localhost", 1)
	secure := httptest.NewTLSServer(nil)
	t.Cleanup(secure.Close)
	to := func(target string) string { return h.URL + "/noop.mar?to=" + url.QueryEscape(target) }
	f := newFixture(t, func(cfg *archive.Config) {
		cfg.AllowedURLs = urls(h.URL+"/.*", other.URL+"/.*", "https://127.*", "http://169.254.*")
	})
	t.Run("an admitted host is followed", func(t *testing.T) {
		t.Parallel()
		u := f.opened(t, archive.Request{URL: to(other.URL + "/elsewhere.mar")})
		assert.Empty(t, other.last.Load().Header.Get("Referer"), "it holds the signature of a signed URL")
		assert.Contains(t, f.visible(t), "noop.mar", "the name is that of the first URL")
		require.NoError(t, u.Remove())
	})
	for name, target := range map[string]string{
		"MAR-053 MGT-038 another host":         otherName + "/noop.mar",
		"MAR-053 MGT-038 no URL of a file":     "http://evil.example/",
		"MAR-053 a link-local address":         "http://169.254.0.0:1/latest/meta-data",
		"MAR-053 a link-local address as IPv6": "http://[::ffff:169.254.0.0]:1/",
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			f := newFixture(t, func(cfg *archive.Config) {
				cfg.AllowedURLs = urls(h.URL+"/.*", `http://169\.254\.0.*`, `http://\[::ffff:.*`)
			})
			f.refused(t, archive.Request{URL: to(target)}, 404, notFoundType, "Given URL "+target+" does not match any allowed URL(s)")
			assert.Empty(t, tree(t, f.models))
		})
	}
	t.Run("MGT-038 dots in a redirect", func(t *testing.T) {
		t.Parallel()
		f := newFixture(t, nil)
		u := to(other.URL + "/a/%2e%2e/b.mar")
		_, err := f.Open(t.Context(), archive.Request{URL: u})
		assert.Contains(t, fault.Message(err), "Relative path is not allowed in url: ")
	})
	t.Run("MGT-038 another protocol", func(t *testing.T) {
		t.Parallel()
		f := newFixture(t, nil)
		u := to(secure.URL + "/noop.mar")
		f.refused(t, archive.Request{URL: u}, 400, downloadType, "Failed to download archive from: "+u)
	})
}

// nameServer answers each question for an address of IPv4 with the next of
// these, the last one for ever.
type nameServer struct {
	mu      sync.Mutex
	answers [][]string
	asked   int
}

// dial connects a resolver to the server, which speaks as over TCP.
func (n *nameServer) dial(context.Context, string, string) (net.Conn, error) {
	near, far := net.Pipe()
	go func() {
		defer func() { _ = far.Close() }()
		question := make([]byte, 2)
		if _, err := io.ReadFull(far, question); err != nil {
			return
		}
		question = make([]byte, binary.BigEndian.Uint16(question))
		if _, err := io.ReadFull(far, question); err != nil {
			return
		}
		answer := n.answer(question)
		_, _ = far.Write(append(binary.BigEndian.AppendUint16(nil, uint16(len(answer))), answer...))
	}()
	return near, nil
}

func (n *nameServer) answer(question []byte) []byte {
	end := 12 + bytes.IndexByte(question[12:], 0) + 5 // of the name, its type and its class
	var addresses []string
	if question[end-3] == 1 { // an address of IPv4 is asked for
		n.mu.Lock()
		addresses = n.answers[min(n.asked, len(n.answers)-1)]
		n.asked++
		n.mu.Unlock()
	}
	answer := append(bytes.Clone(question[:2]), 0x81, 0x80, 0, 1, 0, byte(len(addresses)), 0, 0, 0, 0)
	answer = append(answer, question[12:end]...)
	for _, a := range addresses {
		answer = append(answer, 0xc0, 12, 0, 1, 0, 1, 0, 0, 0, 0, 0, 4)
		answer = append(answer, netip.MustParseAddr(a).AsSlice()...)
	}
	return answer
}

func TestNamesThatMove(t *testing.T) {
	t.Parallel()
	h := newHost(t, serve(zipped(t, noop())))
	_, port, err := net.SplitHostPort(h.Listener.Addr().String())
	require.NoError(t, err)
	location := "http://models.example:" + port + "/noop.mar"
	const link = "169.254.169.254"
	moving := func(change func(*archive.Config), answers ...[]string) func(*archive.Config) {
		n := &nameServer{answers: answers}
		return func(cfg *archive.Config) {
			cfg.Resolver = &net.Resolver{PreferGo: true, Dial: n.dial}
			if change != nil {
				change(cfg)
			}
		}
	}
	for name, c := range map[string]struct {
		answers [][]string
		change  func(*archive.Config)
		refused string // at the second download
	}{
		"a name that stays":                         {[][]string{{"127.0.0.1"}}, nil, ""},
		"a name that moves to a link-local address": {[][]string{{"127.0.0.1"}, {link}}, nil, location},
		"an address of several that is refused":     {[][]string{{link, "127.0.0.1"}}, nil, ""},
		"a pattern that names the host": {
			[][]string{{"127.0.0.1"}, {"127.0.0.1"}}, func(cfg *archive.Config) { cfg.AllowedURLs = urls(`http://models\.example:\d+/.*`) }, "",
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			f := newFixture(t, moving(c.change, c.answers...))
			require.NoError(t, f.opened(t, archive.Request{URL: location}).Remove())
			if c.refused == "" {
				f.opened(t, archive.Request{URL: location})
				return
			}
			f.refused(t, archive.Request{URL: location}, 404, notFoundType, "Given URL "+c.refused+" does not match any allowed URL(s)")
		})
	}
	t.Run("strict_security judges what a name leads to", func(t *testing.T) {
		t.Parallel()
		f := newFixture(t, moving(func(cfg *archive.Config) { cfg.StrictSecurity = true }, []string{"127.0.0.1", "10.0.0.1"}))
		f.refused(t, archive.Request{URL: location}, 404, notFoundType, "Given URL "+location+" does not match any allowed URL(s)")
	})
	t.Run("a redirect by a name that leads to a link-local address", func(t *testing.T) {
		t.Parallel()
		to := newHost(t, func(w http.ResponseWriter, r *http.Request) {
			http.Redirect(w, r, "http://meta.example/credentials", http.StatusFound)
		})
		f := newFixture(t, moving(nil, []string{link}))
		f.refused(t, archive.Request{URL: to.URL + "/noop.mar"}, 404, notFoundType, "Given URL http://meta.example/credentials does not match any allowed URL(s)")
	})
}

func TestAddresses(t *testing.T) {
	t.Parallel()
	h := newHost(t, serve(zipped(t, noop())))
	t.Run("link-local addresses are refused, also where every URL is admitted", func(t *testing.T) {
		t.Parallel()
		f := newFixture(t, nil)
		for _, host := range []string{"169.254.169.254", "[fe80::1%25lo]", "[::ffff:a9fe:a9fe]", "[64:ff9b::a9fe:a9fe]", "100.100.100.200", "[fd00:ec2::254]", "2852039166", "0xa9fea9fe", "169.254.0xa9fe"} {
			u := "http://" + host + "/noop.mar"
			f.refused(t, archive.Request{URL: u}, 404, notFoundType, "Given URL "+u+" does not match any allowed URL(s)")
		}
	})
	t.Run("loopback is admitted, and refused with strict_security", func(t *testing.T) {
		t.Parallel()
		u := strings.Replace(h.URL, "127.0.0.1", "localhost", 1) + "/noop.mar"
		newFixture(t, nil).opened(t, archive.Request{URL: u})
		f := newFixture(t, func(cfg *archive.Config) { cfg.StrictSecurity = true })
		for _, u := range []string{u, h.URL + "/noop.mar", "http://10.0.0.1/noop.mar", "http://[::1]/noop.mar", "http://0.0.0.0/noop.mar"} {
			f.refused(t, archive.Request{URL: u}, 404, notFoundType, "Given URL "+u+" does not match any allowed URL(s)")
		}
	})
	t.Run("a proxy is used, and its own address is not judged", func(t *testing.T) {
		t.Parallel()
		proxy := newHost(t, serve(zipped(t, noop())))
		via, err := url.Parse(proxy.URL)
		require.NoError(t, err)
		f := newFixture(t, func(cfg *archive.Config) {
			cfg.StrictSecurity = true
			cfg.Transport = &http.Transport{Proxy: http.ProxyURL(via)}
		})
		f.opened(t, archive.Request{URL: "http://models.example/noop.mar"})
		assert.Equal(t, "models.example", proxy.last.Load().Host)
		u := "http://169.254.169.254/x.mar"
		f.refused(t, archive.Request{URL: u}, 404, notFoundType, "Given URL "+u+" does not match any allowed URL(s)")
		assert.EqualValues(t, 1, proxy.hits.Load())
	})
}

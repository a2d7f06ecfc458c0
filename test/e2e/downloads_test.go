package e2e

import (
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/torchserve-go/torchserve/test/e2e/e2etest"
)

// web serves files, and counts who asks for them.
type web struct {
	*httptest.Server
	files map[string]string // by path
}

func newWeb(t *testing.T, files map[string]string) web {
	t.Helper()
	w := web{files: files}
	w.Server = httptest.NewServer(http.HandlerFunc(func(out http.ResponseWriter, r *http.Request) {
		content, found := files[r.URL.Path]
		switch target, redirected := strings.CutPrefix(content, "redirect "); {
		case !found:
			out.WriteHeader(http.StatusNotFound)
		case redirected:
			http.Redirect(out, r, target, http.StatusFound)
		default:
			_, _ = out.Write([]byte(content))
		}
	}))
	t.Cleanup(w.Close)
	return w
}

// packed returns the bytes of an archive.
func packed(t *testing.T, a e2etest.Archive) string {
	t.Helper()
	dir := t.TempDir()
	content, err := os.ReadFile(filepath.Join(dir, a.Write(t, dir)))
	require.NoError(t, err)
	return string(content)
}

func TestDownloads(t *testing.T) {
	t.Parallel()
	remote := labArchive("")
	remote.Name = "remote"
	broken := unloadable("broken", "raise ValueError")
	files := map[string]string{"/a/remote.mar": packed(t, remote), "/broken.mar": packed(t, broken), "/empty.mar": ""}
	w := newWeb(t, files)
	other := newWeb(t, files)
	files["/out.mar"] = "redirect " + strings.Replace(other.URL, "127.0.0.1", "localhost", 1) + "/a/remote.mar"
	files["/moved.mar"] = "redirect " + w.URL + "/a/remote.mar"
	l := newLab(t, e2etest.Properties("allowed_urls=HTTP://127.0.0.1.*,file://.*"))
	at := func(t *testing.T, query string) e2etest.Reply {
		t.Helper()
		return l.manage(t, "POST", "/models?initial_workers=1&url="+query)
	}
	stored := func(name string) string { return filepath.Join(l.Store, name) }
	t.Run("MAR-046 MAR-049 MAR-051 MAR-066 MGT-017 MGT-055 a download", func(t *testing.T) {
		t.Parallel()
		address := url.QueryEscape(w.URL + "/a/remote.mar?token=x")
		require.Equal(t, http.StatusOK, at(t, address).Status)
		assert.FileExists(t, stored("remote.mar"))
		assert.Equal(t, w.URL+"/a/remote.mar?token=x", l.describe(t, "remote").URL, "MAR-058")
		assert.Equal(t, "x", l.In(t).Predict("remote", "x").Body)
		assertFailure(t, at(t, address), 409, "ConflictStatusException", "Model version 1.0 is already registered for model remote")
		assert.FileExists(t, stored("remote.mar"))
		require.Equal(t, http.StatusOK, l.manage(t, "DELETE", "/models/remote").Status)
		assert.NoFileExists(t, stored("remote.mar"))
	})
	t.Run("MAR-050 MGT-016 what cannot be fetched", func(t *testing.T) {
		t.Parallel()
		for _, address := range []string{w.URL + "/none.mar", w.URL + "/empty.mar", "file:///nowhere/none.mar"} {
			reply := at(t, address)
			assert.Equal(t, http.StatusBadRequest, reply.Status, "%s", reply.Body)
			assert.NotContains(t, names(t, l.Store), filepath.Base(address))
		}
		assertFailure(t, at(t, w.URL+"/none.mar"), 400, "DownloadArchiveException", "Failed to download archive from: "+w.URL+"/none.mar")
	})
	t.Run("MAR-053 MGT-038 redirects", func(t *testing.T) {
		t.Parallel()
		reply := at(t, w.URL+"/out.mar")
		assert.Equal(t, http.StatusNotFound, reply.Status, "%s", reply.Body)
		assert.Contains(t, reply.Body, "does not match any allowed URL(s)")
		assert.NoFileExists(t, stored("out.mar"))
		assert.Equal(t, http.StatusOK, at(t, w.URL+"/moved.mar&model_name=moved").Status)
	})
	t.Run("MAR-069 MGT-037 a model that does not load takes its archive with it", func(t *testing.T) {
		t.Parallel()
		for range 2 {
			reply := at(t, w.URL+"/broken.mar")
			assert.Equal(t, http.StatusInternalServerError, reply.Status, "%s", reply.Body)
			assert.Contains(t, reply.Body, "Failed to start workers for model broken version: 1.0")
			assert.NoFileExists(t, stored("broken.mar"))
		}
	})
	t.Run("MAR-052 a file elsewhere is copied", func(t *testing.T) {
		t.Parallel()
		copied := labArchive("")
		copied.Name = "copied"
		dir := t.TempDir()
		require.Equal(t, http.StatusOK, at(t, "file://"+dir+"/"+copied.Write(t, dir)).Status)
		assert.FileExists(t, stored("copied.mar"))
		require.Equal(t, http.StatusOK, l.manage(t, "DELETE", "/models/copied").Status)
		assert.FileExists(t, filepath.Join(dir, "copied.mar"))
	})
	t.Run("MAR-054 a pattern that admits all admits the store", func(t *testing.T) {
		t.Parallel()
		l := newLab(t, e2etest.Properties("allowed_urls=.*"))
		l.model(t, "local", "")
		assert.NotContains(t, l.Logs("ts_log.log"), "can access any URL", "MAR-048 CFG-046")
	})
	t.Run("MAR-045 MGT-015 decided: link-local addresses are refused", func(t *testing.T) {
		t.Parallel()
		l := newLab(t)
		reply := l.manage(t, "POST", "/models?url=http://169.254.169.254/x.mar")
		assert.GreaterOrEqual(t, reply.Status, 400)
		l.In(t).AwaitLog("ts_log.log", "Your torchserve instance can access any URL to load models.")
	})
}

// proxy is one that leads every tunnel to the same host, and answers plain
// requests itself.
type proxy struct {
	*httptest.Server
	asked chan string // method and target of each request
}

func newProxy(t *testing.T, host string, content string) proxy {
	t.Helper()
	p := proxy{asked: make(chan string, 10)} // more than a test asks
	p.Server = httptest.NewServer(http.HandlerFunc(func(out http.ResponseWriter, r *http.Request) {
		p.asked <- r.Method + " " + r.RequestURI
		if r.Method != http.MethodConnect {
			_, _ = io.WriteString(out, content) // the server is looked at
			return
		}
		far, err := net.Dial("tcp", host)
		if !assert.NoError(t, err) {
			return
		}
		out.WriteHeader(http.StatusOK)
		near, begun, err := http.NewResponseController(out).Hijack()
		if !assert.NoError(t, err) {
			return
		}
		var both sync.WaitGroup
		both.Go(func() { _, _ = io.Copy(far, begun); _ = far.Close() }) // the end of one side
		both.Go(func() { _, _ = io.Copy(near, far); _ = near.Close() }) // is that of the other
		both.Wait()
	}))
	t.Cleanup(p.Close)
	return p
}

// ownAddress returns an address of this machine other than loopback; empty: there
// is none.
func ownAddress(t *testing.T) string {
	t.Helper()
	all, err := net.InterfaceAddrs()
	require.NoError(t, err)
	for _, a := range all {
		if n, ok := a.(*net.IPNet); ok && n.IP.To4() != nil && !n.IP.IsLoopback() && !n.IP.IsLinkLocalUnicast() {
			return n.IP.String()
		}
	}
	return ""
}

// TestProxies asks one proxy, which says by whom it was asked.
//
//nolint:tparallel // as above
func TestProxies(t *testing.T) {
	t.Parallel()
	remote := labArchive("")
	remote.Name = "remote"
	content := packed(t, remote)
	secure := httptest.NewTLSServer(http.HandlerFunc(func(out http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(out, content) }))
	t.Cleanup(secure.Close)
	p := newProxy(t, secure.Listener.Addr().String(), content)
	trusted := pemFile(t, t.TempDir(), "CERTIFICATE", secure.Certificate().Raw) // it is for example.com
	own := ownAddress(t)
	l := newLab(t, e2etest.Env("HTTPS_PROXY="+p.URL, "HTTP_PROXY="+p.URL, "NO_PROXY=x.example,"+own, "SSL_CERT_FILE="+trusted))
	fetch := func(t *testing.T, location string) e2etest.Reply {
		t.Helper()
		return l.manage(t, "POST", "/models?initial_workers=0&url="+url.QueryEscape(location)+"&model_name="+url.QueryEscape(t.Name()))
	}
	t.Run("decided: an https URL goes through a tunnel, and SSL_CERT_FILE is trusted", func(t *testing.T) {
		assert.Equal(t, http.StatusOK, fetch(t, "https://example.com/secure.mar").Status)
		assert.Equal(t, "CONNECT example.com:443", <-p.asked)
	})
	t.Run("decided: an http URL is the proxy's to fetch", func(t *testing.T) {
		assert.Equal(t, http.StatusOK, fetch(t, "http://example.com/plain.mar?sig=secret").Status)
		assert.Equal(t, "GET http://example.com/plain.mar?sig=secret", <-p.asked)
	})
	t.Run("decided: what NO_PROXY names is reached directly", func(t *testing.T) {
		if own == "" {
			t.Skip("this machine has no address but that of loopback, which no proxy is asked for")
		}
		direct := httptest.NewUnstartedServer(secure.Config.Handler)
		require.NoError(t, direct.Listener.Close())
		var err error
		direct.Listener, err = net.Listen("tcp", net.JoinHostPort(own, "0"))
		require.NoError(t, err)
		direct.Start()
		defer direct.Close()
		assert.Equal(t, http.StatusOK, fetch(t, direct.URL+"/direct.mar").Status)
		assert.Empty(t, p.asked)
	})
	t.Run("decided: a literal link-local address is refused behind a proxy, too", func(t *testing.T) {
		assert.Equal(t, http.StatusNotFound, fetch(t, "http://169.254.169.254/x.mar").Status)
		assert.Empty(t, p.asked)
	})
	assert.NotContains(t, l.Logs("ts_log.log"), "secret")
}

func TestStopWhileDownloading(t *testing.T) {
	t.Parallel()
	asked := make(chan struct{})
	host := httptest.NewServer(http.HandlerFunc(func(out http.ResponseWriter, r *http.Request) {
		_, _ = io.WriteString(out, "PK")
		_ = http.NewResponseController(out).Flush()
		close(asked)
		<-r.Context().Done()
	}))
	t.Cleanup(host.Close)
	l := newLab(t)
	p := l.begin(t, e2etest.Call{Method: http.MethodPost, To: e2etest.Management, Path: "/models?url=" + host.URL + "/large.mar"})
	<-asked
	assert.Zero(t, l.Stop())
	assertFailure(t, p.answer(), 503, "ServiceUnavailableException", "The server is stopping")
	assert.Equal(t, []string{"lab.mar"}, names(t, l.Store), "MAR-069")
	assert.Empty(t, names(t, filepath.Join(l.Temp, "models")))
}

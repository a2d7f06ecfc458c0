package archive_test

import (
	"bytes"
	"context"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/torchserve-go/torchserve/pkg/archive"
	"github.com/torchserve-go/torchserve/pkg/fault"
)

// host serves archives and counts requests.
type host struct {
	*httptest.Server
	hits atomic.Int64
	last atomic.Pointer[http.Request]
}

func newHost(t testing.TB, handler http.HandlerFunc) *host {
	t.Helper()
	h := &host{}
	h.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		h.hits.Add(1)
		h.last.Store(r.Clone(context.WithoutCancel(r.Context())))
		handler(w, r)
	}))
	t.Cleanup(h.Close)
	return h
}

func serve(content []byte) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) {
		_, _ = w.Write(content) // a client that has gone is tested elsewhere
	}
}

// visible returns the names in the store that are not hidden.
func (f fixture) visible(t testing.TB) []string {
	t.Helper()
	names := []string{}
	for name := range tree(t, f.models) {
		if !strings.HasPrefix(name, ".") {
			names = append(names, name)
		}
	}
	return names
}

func TestDownload(t *testing.T) {
	t.Parallel()
	h := newHost(t, serve(zipped(t, noop())))
	t.Run("MAR-049 a download is stored under the last component as it is spelled", func(t *testing.T) {
		t.Parallel()
		f := newFixture(t, nil)
		u := f.opened(t, archive.Request{URL: h.URL + "/dir/no%20op.mar?sig=a/b#c"})
		assert.Equal(t, []string{"no%20op.mar"}, f.visible(t))
		assert.Equal(t, noopTree(), tree(t, u.Archive.Dir))
		assert.NotContains(t, strings.Join(mapValues(tree(t, f.models)), " "), "sig=", "signatures are not stored")
	})
	t.Run("MAR-049 what a host says of compression does not matter", func(t *testing.T) {
		t.Parallel()
		zipper := newHost(t, func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Encoding", "x-gzip") // as Apache does for all names that end so
			_, _ = w.Write(tarred(t, "noop/", noop()))
		})
		f := newFixture(t, nil)
		assert.Equal(t, noopTree(), tree(t, f.opened(t, archive.Request{URL: zipper.URL + "/noop.tgz"}).Archive.Dir))
	})
	t.Run("one of several patterns admits a URL", func(t *testing.T) {
		t.Parallel()
		f := newFixture(t, func(cfg *archive.Config) { cfg.AllowedURLs = urls("none", "HTTP://127.*") })
		f.opened(t, archive.Request{URL: h.URL + "/noop.mar"})
	})
	t.Run("MAR-066 removing the model removes a downloaded archive", func(t *testing.T) {
		t.Parallel()
		f := newFixture(t, nil)
		u := f.opened(t, archive.Request{URL: h.URL + "/noop.mar"})
		require.NoError(t, u.Remove())
		require.NoError(t, u.Remove())
		assert.Empty(t, tree(t, f.models))
		assert.Empty(t, f.modelDirs(t))
	})
	t.Run("one that is in the store is good as it is, if it is said so", func(t *testing.T) {
		t.Parallel()
		own := newHost(t, serve(zipped(t, noop())))
		f := newFixture(t, nil)
		f.opened(t, archive.Request{URL: own.URL + "/noop.mar", Stored: true})
		again := archive.New(archive.Config{ModelStore: f.models, WorkDir: f.work, AllowedURLs: defaultURLs()})
		u, err := again.Open(t.Context(), archive.Request{URL: own.URL + "/noop.mar", Stored: true})
		require.NoError(t, err)
		assert.Equal(t, int64(1), own.hits.Load())
		require.NoError(t, u.Remove())
		assert.Empty(t, f.visible(t), "it is still a download")
		require.NoError(t, again.Close())
	})
	t.Run("MAR-066 and keeps the archive of a local name", func(t *testing.T) {
		t.Parallel()
		f := newFixture(t, nil)
		f.put(t, "noop.mar", zipped(t, noop()))
		require.NoError(t, f.opened(t, archive.Request{URL: "noop.mar"}).Remove())
		assert.Equal(t, []string{"noop.mar"}, f.visible(t))
	})
	t.Run("no user, no referrer, no compression", func(t *testing.T) {
		t.Parallel()
		own := newHost(t, serve(zipped(t, noop())))
		f := newFixture(t, nil)
		f.opened(t, archive.Request{URL: strings.Replace(own.URL, "://", "://user:secret@", 1) + "/noop.mar"})
		assert.Empty(t, own.last.Load().Header.Get("Authorization"))
		assert.Empty(t, own.last.Load().Header.Get("Accept-Encoding"))
	})
}

func mapValues(m map[string]string) []string {
	var values []string
	for _, v := range m {
		values = append(values, v)
	}
	return values
}

func TestDownloadFails(t *testing.T) {
	t.Parallel()
	h := newHost(t, func(w http.ResponseWriter, r *http.Request) {
		switch r.URL.Path {
		case "/short.mar":
			w.Header().Set("Content-Length", "1000")
			_, _ = w.Write([]byte("PK")) // the length is the lie
		case "/broken.mar":
			w.WriteHeader(http.StatusInternalServerError)
		case "/304.mar":
			w.WriteHeader(http.StatusNotModified)
		case "/401.mar":
			w.Header().Set("WWW-Authenticate", `Basic realm="models"`)
			w.WriteHeader(http.StatusUnauthorized)
		case "/206.mar":
			w.Header().Set("Content-Range", "bytes 0-1/1000")
			w.WriteHeader(http.StatusPartialContent)
			_, _ = w.Write([]byte("PK")) // as above
		case "/loop.mar":
			http.Redirect(w, r, "/loop.mar", http.StatusFound)
		default:
			http.NotFound(w, r)
		}
	})
	dead := httptest.NewServer(nil)
	dead.Close()
	for name, details := range map[string]string{
		"/x.mar": "404 Not Found", "/broken.mar": "500 Internal Server Error", "/304.mar": "304 Not Modified",
		"/401.mar": "401 Unauthorized", "/206.mar": "206 Partial Content",
	} {
		t.Run("MAR-050 status "+details, func(t *testing.T) {
			t.Parallel()
			f := newFixture(t, nil)
			got := f.refused(t, archive.Request{URL: h.URL + name}, 400, downloadType, "Failed to download archive from: "+h.URL+name)
			assert.Equal(t, "the host answered "+details, got)
		})
	}
	for name, url := range map[string]string{
		"MAR-050 MGT-016 nobody listens":      dead.URL + "/x.mar",
		"MAR-050 an end before the length":    h.URL + "/short.mar",
		"MAR-050 a bad URL":                   "http://127.0.0.1:port/x.mar",
		"MAR-050 a bad escape":                h.URL + "/%zz.mar",
		"MGT-038 an endless redirect":         h.URL + "/loop.mar",
		"MAR-052 a missing file":              "file:///nowhere/x.mar",
		"MAR-052 a directory":                 "file:///tmp",
		"MAR-052 a device":                    "file:///dev/zero",
		"MAR-052 a file of another host":      "file://elsewhere/etc/hosts",
		"MAR-050 a host without a connection": "http://127.0.0.1:1/x.mar",
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			f := newFixture(t, nil)
			f.refused(t, archive.Request{URL: url}, 400, downloadType, "Failed to download archive from: "+url)
			assert.Empty(t, tree(t, f.models))
		})
	}
	t.Run("a store that cannot be written", func(t *testing.T) {
		t.Parallel()
		good := newHost(t, serve(zipped(t, noop())))
		f := newFixture(t, nil)
		f.put(t, ".downloads", nil) // a file where the directory should be
		f.refused(t, archive.Request{URL: good.URL + "/x.mar"}, 400, downloadType, "Failed to download archive from: "+good.URL+"/x.mar")
	})
	t.Run("MAR-069 MGT-037 a bad archive leaves the store as it was", func(t *testing.T) {
		t.Parallel()
		bad := newHost(t, serve(nil))
		f := newFixture(t, nil)
		for range 2 {
			f.refused(t, archive.Request{URL: bad.URL + "/x.mar"}, 400, invalidType, "Failed to read model archive: x.mar")
			f.refused(t, archive.Request{URL: bad.URL + "/x.tgz"}, 500, internalType, "Failed to save model: "+bad.URL+"/x.tgz")
		}
		assert.Empty(t, tree(t, f.models))
	})
	t.Run("MAR-069 a length that is too small", func(t *testing.T) {
		t.Parallel()
		f := newFixture(t, tube{answers(0, head(100), string(zipped(t, noop())))}.configure)
		f.refused(t, archive.Request{URL: "http://models.example/x.mar"}, 400, invalidType, "Failed to read model archive: x.mar")
	})
	t.Run("a download above the limit", func(t *testing.T) {
		t.Parallel()
		good := newHost(t, serve(zipped(t, noop())))
		f := newFixture(t, func(cfg *archive.Config) { cfg.Limits.Download = 20 })
		f.refused(t, archive.Request{URL: good.URL + "/x.mar"}, 400, downloadType, "Failed to download archive from: "+good.URL+"/x.mar")
		f = newFixture(t, func(cfg *archive.Config) { cfg.Limits.Download = int64(len(zipped(t, noop()))) })
		f.opened(t, archive.Request{URL: good.URL + "/x.mar"})
	})
}

func TestAlreadyThere(t *testing.T) {
	t.Parallel()
	h := newHost(t, serve(zipped(t, noop())))
	const exists = "Model file already exists noop.mar"
	t.Run("MAR-051 the operator's file is not overwritten", func(t *testing.T) {
		t.Parallel()
		f := newFixture(t, nil)
		f.put(t, "noop.mar", []byte("mine"))
		f.refused(t, archive.Request{URL: h.URL + "/noop.mar"}, 500, internalType, exists)
	})
	t.Run("MAR-051 nor is one that comes during the download", func(t *testing.T) {
		t.Parallel()
		f := newFixture(t, nil)
		mine := []byte("mine")
		own := newHost(t, func(w http.ResponseWriter, _ *http.Request) {
			f.put(t, "noop.mar", mine)
			_, _ = w.Write(zipped(t, noop()))
		})
		_, err := f.Open(t.Context(), archive.Request{URL: own.URL + "/noop.mar"})
		assert.Equal(t, exists, fault.Message(err))
		assert.Equal(t, map[string]string{"noop.mar": string(mine)}, tree(t, f.models))
		assert.Empty(t, f.modelDirs(t))
	})
	t.Run("MAR-051 nor is that of another URL", func(t *testing.T) {
		t.Parallel()
		f := newFixture(t, nil)
		f.opened(t, archive.Request{URL: h.URL + "/noop.mar"})
		f.refused(t, archive.Request{URL: h.URL + "/other/noop.mar"}, 500, internalType, exists)
	})
	t.Run("MAR-051 the same URL is used again while a model lives on it", func(t *testing.T) {
		t.Parallel()
		own := newHost(t, serve(zipped(t, noop())))
		f := newFixture(t, nil)
		first := f.opened(t, archive.Request{URL: own.URL + "/noop.mar"})
		second := f.opened(t, archive.Request{URL: own.URL + "/noop.mar", Name: "other"})
		assert.EqualValues(t, 1, own.hits.Load())
		assert.NotEqual(t, first.Archive.Dir, second.Archive.Dir)
		require.NoError(t, second.Remove())
		assert.Equal(t, []string{"noop.mar"}, f.visible(t), "the first one still uses it")
		require.NoError(t, first.Remove())
		assert.Empty(t, tree(t, f.models))
	})
	t.Run("a local name keeps a downloaded file alive", func(t *testing.T) {
		t.Parallel()
		f := newFixture(t, nil)
		first := f.opened(t, archive.Request{URL: h.URL + "/noop.mar"})
		second := f.opened(t, archive.Request{URL: "noop.mar"})
		require.NoError(t, first.Remove())
		assert.Equal(t, []string{"noop.mar"}, f.visible(t))
		require.NoError(t, second.Remove())
		assert.Equal(t, []string{"noop.mar"}, f.visible(t), "a local registration never removes an archive")
	})
	t.Run("after a restart the file is used if it has the size of the remote one", func(t *testing.T) {
		t.Parallel()
		content := zipped(t, noop())
		own := newHost(t, func(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write(content) })
		f := newFixture(t, nil)
		f.opened(t, archive.Request{URL: own.URL + "/noop.mar"})
		require.NoError(t, f.Close())
		path := filepath.Join(f.models, "noop.mar")
		before, err := os.Stat(path)
		require.NoError(t, err)

		again := newFixture(t, func(cfg *archive.Config) { cfg.ModelStore = f.models })
		u := again.opened(t, archive.Request{URL: own.URL + "/noop.mar"})
		after, err := os.Stat(path)
		require.NoError(t, err)
		assert.True(t, os.SameFile(before, after))
		assert.Equal(t, "2.0", string(u.Archive.Version))
		require.NoError(t, again.Close())

		content = zipped(t, withManifest(`{"model":{"modelName":"noop","modelVersion":"3.0-new"}}`))
		last := newFixture(t, func(cfg *archive.Config) { cfg.ModelStore = f.models })
		assert.Equal(t, "3.0-new", string(last.opened(t, archive.Request{URL: own.URL + "/noop.mar"}).Archive.Version))
	})
	t.Run("a damaged download is fetched anew", func(t *testing.T) {
		t.Parallel()
		f := newFixture(t, nil)
		f.opened(t, archive.Request{URL: h.URL + "/noop.mar"})
		f.put(t, "noop.mar", []byte("PK"))
		f.opened(t, archive.Request{URL: h.URL + "/noop.mar", Name: "other"})
		f.put(t, "noop.mar", nil)
		require.NoError(t, os.Remove(filepath.Join(f.models, "noop.mar")))
		f.opened(t, archive.Request{URL: h.URL + "/noop.mar", Name: "third"})
	})
}

func TestFileURL(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	write(t, filepath.Join(dir, "no op.mar"), zipped(t, noop()))
	t.Run("MAR-052 a file URL is copied into the store", func(t *testing.T) {
		t.Parallel()
		for _, prefix := range []string{"file://", "file://localhost", "FILE://"} {
			f := newFixture(t, nil)
			u := f.opened(t, archive.Request{URL: prefix + dir + "/no%20op.mar"})
			assert.Equal(t, []string{"no%20op.mar"}, f.visible(t))
			require.NoError(t, u.Remove())
			assert.Empty(t, tree(t, f.models))
		}
		assert.FileExists(t, filepath.Join(dir, "no op.mar"))
	})
	t.Run("MAR-052 a file of the store is used in place", func(t *testing.T) {
		t.Parallel()
		f := newFixture(t, nil)
		f.put(t, "noop.mar", zipped(t, noop()))
		f.put(t, "sub/noop.mar", zipped(t, noop()))
		for _, name := range []string{"noop.mar", "sub/noop.mar"} {
			require.NoError(t, f.opened(t, archive.Request{URL: "file://" + filepath.Join(f.models, name)}).Remove())
		}
		f.opened(t, archive.Request{URL: "file://" + filepath.Join(f.models, "sub"), Name: "sub"})
		assert.ElementsMatch(t, []string{"noop.mar", "sub", "sub/noop.mar"}, f.visible(t))
	})
	t.Run("MAR-057 s3_sse_kms does not matter to a file URL", func(t *testing.T) {
		t.Parallel()
		newFixture(t, nil).opened(t, archive.Request{URL: "file://" + dir + "/no%20op.mar", S3SSEKMS: true})
	})
}

func TestCancel(t *testing.T) {
	t.Parallel()
	for name, stalled := range map[string]http.HandlerFunc{
		"before the answer": func(_ http.ResponseWriter, r *http.Request) { <-r.Context().Done() },
		"in the body": func(w http.ResponseWriter, r *http.Request) {
			_, _ = w.Write([]byte("PK"))
			_ = http.NewResponseController(w).Flush()
			<-r.Context().Done()
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			started := make(chan struct{})
			h := newHost(t, func(w http.ResponseWriter, r *http.Request) {
				close(started)
				stalled(w, r)
			})
			ctx, cancel := context.WithCancel(t.Context())
			go func() {
				<-started
				cancel()
			}()
			f := newFixture(t, nil)
			_, err := f.Open(ctx, archive.Request{URL: h.URL + "/noop.mar"})
			assert.True(t, fault.Is(err, fault.Canceled), "%v", err)
			assert.Empty(t, tree(t, f.models))
			assert.Empty(t, f.modelDirs(t))
		})
	}
}

func TestTheStoreNeverShowsHalfADownload(t *testing.T) {
	t.Parallel()
	content := zipped(t, noop())
	half, rest := make(chan struct{}), make(chan struct{})
	h := newHost(t, func(w http.ResponseWriter, _ *http.Request) {
		_, _ = w.Write(content[:100])
		_ = http.NewResponseController(w).Flush()
		close(half)
		<-rest
		_, _ = io.Copy(w, bytes.NewReader(content[100:]))
	})
	f := newFixture(t, nil)
	done := make(chan error, 1)
	go func() {
		_, err := f.Open(context.WithoutCancel(t.Context()), archive.Request{URL: h.URL + "/noop.mar"})
		done <- err
	}()
	<-half
	assert.Empty(t, f.visible(t))
	other := newFixture(t, func(cfg *archive.Config) { cfg.ModelStore = f.models })
	require.NoError(t, other.Prepare(), "another server must not take the download for a leftover")
	close(rest)
	require.NoError(t, <-done)
	assert.Equal(t, []string{"noop.mar"}, f.visible(t))
}

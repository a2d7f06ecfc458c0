package e2e

import (
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"path/filepath"
	"strings"
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

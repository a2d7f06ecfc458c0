package archive_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/torchserve-go/torchserve/pkg/archive"
	"github.com/torchserve-go/torchserve/pkg/model"
)

// registered opens an archive of these entries.
func registered(t testing.TB, entries []entry, r archive.Request) (fixture, *archive.Unpacked) {
	t.Helper()
	f := newFixture(t, nil)
	f.put(t, "x.mar", zipped(t, entries))
	r.URL = "x.mar"
	return f, f.opened(t, r)
}

func TestManifest(t *testing.T) {
	t.Parallel()
	handler, none := "mine", ""
	full := archive.Request{Name: "n", Handler: &handler, Runtime: model.Python3, DefaultHandler: "d", Envelope: "json"}
	base := model.Archive{URL: "x.mar", Name: "m", Version: "1.0", Runtime: model.Python}
	with := func(change func(*model.Archive)) model.Archive {
		a := base
		change(&a)
		return a
	}
	for name, c := range map[string]struct {
		manifest string
		request  archive.Request
		want     model.Archive
	}{
		"what the archiver writes": {goodManifest, archive.Request{}, with(func(a *model.Archive) {
			a.Name, a.Version, a.Handler = "noop", "2.0", "noop.py"
		})},
		"MAR-026 a version is 1.0 if missing": {`{"model":{"modelName":"m"}}`, archive.Request{}, base},
		"MAR-026 or null":                     {`{"model":{"modelName":"m","modelVersion":null}}`, archive.Request{}, base},
		"an empty version stays empty":        {`{"model":{"modelName":"m","modelVersion":""}}`, archive.Request{}, with(func(a *model.Archive) { a.Version = "" })},
		"MAR-025 a number keeps its text":     {`{"model":{"modelName":"m","modelVersion":2.50}}`, archive.Request{}, with(func(a *model.Archive) { a.Version = "2.50" })},
		"a boolean is a text, too":            {`{"model":{"modelName":"m","handler":true}}`, archive.Request{}, with(func(a *model.Archive) { a.Handler = "true" })},
		"MAR-030 the request overrides": {goodManifest, full, with(func(a *model.Archive) {
			a.Name, a.Version, a.Handler, a.Runtime, a.Envelope = "n", "2.0", "mine", model.Python3, "json"
		})},
		"an empty handler of the request overrides":      {goodManifest, archive.Request{Handler: &none}, with(func(a *model.Archive) { a.Name, a.Version = "noop", "2.0" })},
		"MAR-121 the default handler counts last":        {`{"model":{"modelName":"m","handler":""}}`, archive.Request{DefaultHandler: "d"}, with(func(a *model.Archive) { a.Handler = "d" })},
		"MAR-029 the envelope is the server's":           {`{"model":{"modelName":"m","envelope":"body"}}`, archive.Request{}, base},
		"MAR-023 the request repairs an unknown runtime": {`{"runtime":"perl","model":{"modelName":"m"}}`, archive.Request{Runtime: model.Python}, base},
		"LSP":                                           {`{"runtime":"LSP","model":{"modelName":"m"}}`, archive.Request{}, with(func(a *model.Archive) { a.Runtime = model.LSP })},
		"a name from the location at start":             {`{}`, archive.Request{DeriveName: true}, with(func(a *model.Archive) { a.Name = "x" })},
		"the manifest's name comes before it":           {`{"model":{"modelName":"m"}}`, archive.Request{DeriveName: true}, base},
		"names have no rule":                            {`{"model":{"modelName":"a/b ☃"}}`, archive.Request{}, with(func(a *model.Archive) { a.Name = "a/b ☃" })},
		"the last of equal keys counts":                 {`{"model":{"modelName":"l","modelName":"m"}}`, archive.Request{}, base},
		"unknown keys, lists and objects are ignored":   {`{"x":[1,{"y":null}],"model":{"modelName":"m","extensions":{"a":[]},"sourceVocab":"v"}}`, archive.Request{}, base},
		"comments, quotes, unquoted names, other signs": {"\ufeff/* a */ {# b\n 'model' = {modelName => 'm' ; // c\n handler: mine}}\n", archive.Request{}, with(func(a *model.Archive) { a.Handler = "mine" })},
		"escapes":                             {`{"model":{"modelName":"\u006d","handler":"\ud83d\ude00\n\/\ud800"}}`, archive.Request{}, with(func(a *model.Archive) { a.Handler = "😀\n/\ufffd" })},
		"MAR-023 an absent runtime is python": {`{"model":{"modelName":"m"}}`, archive.Request{}, base},
		"bytes that are no UTF-8 do not break the reading": {"{\"description\":\"\xff\",\"model\":{\"modelName\":\"m\"}}", archive.Request{}, base},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			_, u := registered(t, withManifest(c.manifest), c.request)
			c.want.Dir = u.Archive.Dir
			assert.Equal(t, c.want, u.Archive)
			text, err := os.ReadFile(filepath.Join(u.Archive.Dir, manifestName))
			require.NoError(t, err)
			assert.Equal(t, c.manifest, string(text), "handlers see the file as it is")
		})
	}
	t.Run("MAR-020 no manifest", func(t *testing.T) {
		t.Parallel()
		_, u := registered(t, noop()[:1], archive.Request{Name: "m", Handler: &handler})
		assert.Equal(t, with(func(a *model.Archive) { a.Handler, a.Dir = "mine", u.Archive.Dir }), u.Archive)
	})
	t.Run("MAR-079 the default name", func(t *testing.T) {
		t.Parallel()
		f := newFixture(t, nil)
		f.put(t, "my-model v1.2.mar", zipped(t, noop()[:1]))
		f.put(t, "tg.tar.gz", tarred(t, "tg/", noop()[:1]))
		assert.Equal(t, "my_model_v1_2", string(f.opened(t, archive.Request{URL: "my-model v1.2.mar", DeriveName: true}).Archive.Name))
		assert.Equal(t, "tg_tar_gz", string(f.opened(t, archive.Request{URL: "tg.tar.gz", DeriveName: true}).Archive.Name))
	})
	t.Run("MAR-004 a tar without a root directory loses its manifest", func(t *testing.T) {
		t.Parallel()
		f := newFixture(t, nil)
		f.put(t, "x.tgz", tarred(t, "", noop()))
		f.refused(t, archive.Request{URL: "x.tgz"}, 400, invalidType, "Model name is not defined.")
		assert.Equal(t, "given", string(f.opened(t, archive.Request{URL: "x.tgz", Name: "given"}).Archive.Name))
	})
}

func TestRefusedManifests(t *testing.T) {
	t.Parallel()
	const noName, noRuntime, unread, noModel = "Model name is not defined.", "Runtime is not defined or invalid.",
		"Failed to parse signature.json.", "Missing Model entry in manifest file."
	for name, c := range map[string]struct{ manifest, text string }{
		"MAR-021 MGT-019 no name":                        {`{"model":{}}`, noName},
		"MAR-021 MGT-019 an empty name":                  {`{"model":{"modelName":""}}`, noName},
		"MAR-021 MGT-019 no model":                       {`{}`, noName},
		"MAR-022 broken JSON":                            {`{"model":`, unread},
		"MAR-022 a trailing comma":                       {`{"model":{"modelName":"m",}}`, unread},
		"MAR-022 text after the document":                {`{"model":{"modelName":"m"}} x`, unread},
		"MAR-022 a comment after the document":           {`{"model":{"modelName":"m"}} // x`, unread},
		"MAR-022 not an object":                          {`[]`, unread},
		"MAR-022 a text":                                 {`hello`, unread},
		"MAR-022 a list as a text":                       {`{"model":{"modelName":[]}}`, unread},
		"MAR-022 an object as a text":                    {`{"createdOn":{},"model":{"modelName":"m"}}`, unread},
		"MAR-022 an object as the runtime":               {`{"runtime":{},"model":{"modelName":"m"}}`, unread},
		"MAR-022 a text as the model":                    {`{"model":"m"}`, unread},
		"MAR-022 a comment without an end":               {`{"model":{"modelName":"m"}/*}`, unread},
		"MAR-022 nested without an end":                  {strings.Repeat(`{"model":`, 99999), unread},
		"MAR-022 nested lists":                           {`{"x":` + strings.Repeat(`[`, 99999) + strings.Repeat(`]`, 99999) + `}`, unread},
		"MAR-022 a bad escape":                           {`{"model":{"modelName":"\x"}}`, unread},
		"MAR-022 a bad character number":                 {`{"model":{"modelName":"\u00zz"}}`, unread},
		"MAR-022 two values":                             {`{"model":{"modelName":"m" "n"}}`, unread},
		"MAR-022 a name without a value":                 {`{"model"}`, unread},
		"MAR-023 an unknown runtime":                     {`{"runtime":"perl","model":{"modelName":"m"}}`, noRuntime},
		"MAR-023 a runtime in another case":              {`{"runtime":"Python","model":{"modelName":"m"}}`, noRuntime},
		"MAR-023 a null runtime":                         {`{"runtime":null,"model":{"modelName":"m"}}`, noRuntime},
		"MAR-027 a null model":                           {`{"model":null}`, noModel},
		"MAR-027 an empty manifest":                      {``, unread},
		"MAR-027 a manifest of a null":                   {`null`, unread},
		"MAR-031 a config outside":                       {`{"model":{"modelName":"m","configFile":"../x"}}`, "The manifest's configFile is outside the model archive: ../x"},
		"MAR-031 a config by absolute path":              {`{"model":{"modelName":"m","configFile":"/etc/passwd"}}`, "The manifest's configFile is outside the model archive: /etc/passwd"},
		"MAR-031 requirements outside":                   {`{"model":{"modelName":"m","requirementsFile":"a/../../x"}}`, "The manifest's requirementsFile is outside the model archive: a/../../x"},
		"the name is looked at first, then the runtime":  {`{"runtime":null}`, noName},
		"MAR-022 a manifest that is larger than any one": {`{"x":"` + strings.Repeat("x", 5<<20) + `"}`, unread},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			f := newFixture(t, nil)
			f.put(t, "x.mar", zipped(t, withManifest(c.manifest)))
			f.refused(t, archive.Request{URL: "x.mar"}, 400, invalidType, c.text)
		})
	}
	t.Run("MAR-022 a manifest that is a directory", func(t *testing.T) {
		t.Parallel()
		f := newFixture(t, nil)
		f.put(t, "x.mar", zipped(t, []entry{{name: manifestName + "/x"}}))
		f.refused(t, archive.Request{URL: "x.mar", Name: "x"}, 400, invalidType, unread)
	})
	t.Run("MAR-031 a link that leaves a served directory", func(t *testing.T) {
		t.Parallel()
		f := newFixture(t, nil)
		f.put(t, "m/"+manifestName, []byte(`{"model":{"modelName":"m","configFile":"c.yaml","requirementsFile":"r.txt"}}`))
		write(t, filepath.Join(filepath.Dir(f.models), "secret"), nil)
		f.put(t, "m/real.yaml", []byte("batchSize: 3"))
		require.NoError(t, os.Symlink("real.yaml", filepath.Join(f.models, "m", "c.yaml")))
		u := f.opened(t, archive.Request{URL: "m"})
		assert.Equal(t, 3, *u.Config.BatchSize)
		assert.Equal(t, filepath.Join(u.Archive.Dir, "r.txt"), u.Archive.Requirements, "it need not exist")
		require.NoError(t, os.Symlink("../../secret", filepath.Join(f.models, "m", "r.txt")))
		f.refused(t, archive.Request{URL: "m"}, 400, invalidType, "The manifest's requirementsFile is outside the model archive: r.txt")
	})
}

func TestOldArchives(t *testing.T) {
	t.Parallel()
	const version = "Model archive version is not defined. Please upgrade to torch-model-archiver 0.2.0 or higher"
	const created = "Model archive createdOn is not defined. Please upgrade to torch-model-archiver 0.2.0 or higher"
	for name, c := range map[string]struct {
		manifest string
		want     []string
	}{
		"MAR-028 both":    {`{"model":{"modelName":"m"}}`, []string{version, created}},
		"MAR-028 one":     {`{"archiverVersion":"","createdOn":null,"model":{"modelName":"m"}}`, []string{created}},
		"MAR-028 neither": {goodManifest, []string{}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			f, _ := registered(t, withManifest(c.manifest), archive.Request{})
			assert.Equal(t, c.want, f.log.lines(t, "warn"))
		})
	}
}

func TestHandlersOutside(t *testing.T) {
	t.Parallel()
	for handler, isOutside := range map[string]bool{
		"h.py": false, "h:f": false, "d/h.py:f": false, "./h:f": false, "/d/h": false, "/d/h.py:f": true, "../h:f": true, "d/../../h:f": true,
	} {
		t.Run(handler, func(t *testing.T) {
			t.Parallel()
			f, u := registered(t, noop(), archive.Request{Handler: &handler})
			assert.Equal(t, handler, u.Archive.Handler)
			want := []string{}
			if isOutside {
				want = []string{"The handler is looked for outside the model archive: " + handler}
			}
			assert.Equal(t, want, f.log.lines(t, "warn"))
		})
	}
}

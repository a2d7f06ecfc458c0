package backend

import (
	"testing"
	"testing/fstest"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func TestPackageFilesLeaveOutWhatPythonMade(t *testing.T) {
	t.Parallel()
	tree := fstest.MapFS{
		"ts/wire.py":                       {Data: []byte("wire")},
		"ts/_hidden.py":                    {Data: []byte("hidden")},
		"ts/old.pyc":                       {Data: []byte("compiled")},
		"ts/__pycache__/wire.cpython.pyc":  {Data: []byte("compiled")},
		"ts/utils/__pycache__/nonsense.py": {Data: []byte("left behind")},
	}

	files, err := packageFiles(tree)

	require.NoError(t, err)
	assert.Equal(t, []file{
		{name: "ts/_hidden.py", content: []byte("hidden")},
		{name: "ts/wire.py", content: []byte("wire")},
	}, files)
}

func TestContentHashTellsContentsApart(t *testing.T) {
	t.Parallel()
	base := []file{{name: "a", content: []byte("b")}}

	assert.Equal(t, contentHash(base), contentHash([]file{{name: "a", content: []byte("b")}}))
	assert.NotEqual(t, contentHash(base), contentHash([]file{{name: "a", content: []byte("c")}}))
	assert.NotEqual(t, contentHash(base), contentHash([]file{{name: "b", content: []byte("b")}}))
	assert.NotEqual(t, contentHash(base), contentHash(append(base, file{name: "c"})))
}

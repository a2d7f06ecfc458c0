package snapshot_test

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/rs/zerolog"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/torchserve-go/torchserve/pkg/model"
	"github.com/torchserve-go/torchserve/pkg/snapshot"
)

// drawer is a serializer that keeps snapshots in memory.
type drawer struct {
	snapshot.Serializer
	err error

	mu  sync.Mutex
	all []snapshot.State
}

func (d *drawer) Save(s snapshot.State, _ []snapshot.Property) error {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.all = append(d.all, s)
	return d.err
}

// taken are the names of the snapshots.
func (d *drawer) taken() []string {
	var all []string
	for _, s := range d.all {
		all = append(all, s.Name)
	}
	return all
}

func nothing() []snapshot.Version { return nil }

func TestJournal(t *testing.T) {
	t.Parallel()
	t.Run("CLI-032 D-CLI-12 from its opening to its closing", func(t *testing.T) {
		t.Parallel()
		synctest.Test(t, func(t *testing.T) {
			d := &drawer{}
			j := snapshot.NewJournal(snapshot.JournalConfig{Serializer: d})
			j.Changed(nothing)
			j.Close(nothing)
			assert.Empty(t, d.all, "it was never opened")
			<-time.NewTimer(1500 * time.Millisecond).C
			at := time.Now()
			j.Open(nothing)
			j.Open(nothing)
			j.Changed(nothing)
			j.Changed(nothing)
			j.Close(nothing)
			j.Close(nothing)
			j.Changed(nothing)
			stamp := func(ms int) string {
				return strings.Replace(at.Add(time.Duration(ms)*time.Millisecond).Format("20060102150405.000"), ".", "", 1)
			}
			assert.Equal(t, []string{stamp(0) + "-startup.cfg", stamp(1) + "-snapshot.cfg", stamp(2) + "-snapshot.cfg", stamp(3) + "-shutdown.cfg"}, d.taken())
			assert.Equal(t, at.Add(3*time.Millisecond), d.all[3].Created)
		})
	})
	t.Run("CLI-033 without a serializer nothing is asked", func(t *testing.T) {
		t.Parallel()
		j := snapshot.NewJournal(snapshot.JournalConfig{})
		j.Open(nil)
		j.Changed(nil)
		j.Close(nil)
	})
	t.Run("D-CLI-23 names go on from the newest there is", func(t *testing.T) {
		t.Parallel()
		d := &drawer{}
		newest := time.Date(2999, 12, 31, 23, 59, 59, 999e6, time.UTC)
		j := snapshot.NewJournal(snapshot.JournalConfig{Serializer: d, Newest: newest})
		j.Open(nothing)
		assert.Equal(t, []string{"30000101000000000-startup.cfg"}, d.taken())
		assert.False(t, d.all[0].Created.Before(time.Date(2999, 12, 31, 23, 59, 59, 999e6, time.Local)), "and so does the time inside")
	})
	for name, c := range map[string]struct {
		err  error
		want string
	}{
		"a failure is told with its remedy": {errors.New("no room"), `Error while saving snapshot to file 20000101000000000-startup.cfg: no room (make some)`},
		"a name that is taken":              {fmt.Errorf("x: %w", snapshot.ErrExists), `Snapshot 20000101000000000-startup.cfg already exists. Not saving the sanpshot.`},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				var log bytes.Buffer
				j := snapshot.NewJournal(snapshot.JournalConfig{Serializer: &drawer{err: c.err}, Remedy: "make some", Log: zerolog.New(&log)})
				j.Open(nothing)
				name := time.Now().Format("20060102150405") + "000"
				assert.Contains(t, log.String(), strings.Replace(c.want, "20000101000000000", name, 1))
				assert.Contains(t, log.String(), `"level":"error"`)
			})
		})
	}
}

// TestTogether: of many changes at once each has its snapshot, and the newest
// one has all of them.
func TestTogether(t *testing.T) {
	t.Parallel()
	t.Run("MGT-068 200 changes at once", func(t *testing.T) {
		t.Parallel()
		const changes = 200
		f, dir := folder(t)
		j := snapshot.NewJournal(snapshot.JournalConfig{Serializer: f})
		j.Open(nothing)
		var mu sync.Mutex
		var served []snapshot.Version
		all := func() []snapshot.Version {
			mu.Lock()
			defer mu.Unlock()
			return slices.Clone(served)
		}
		var done sync.WaitGroup
		for n := range changes {
			done.Go(func() {
				mu.Lock()
				served = append(served, snapshot.Version{Name: model.Name(fmt.Sprint(n)), Version: "1.0", Archive: "m.mar", Runtime: model.Python})
				mu.Unlock()
				j.Changed(all)
			})
		}
		done.Wait()
		files := names(t, dir)
		require.Len(t, files, changes+1)
		before := 0
		for i, name := range files {
			text, err := os.ReadFile(filepath.Join(dir, name))
			require.NoError(t, err)
			s, err := snapshot.Parse(read(t, text)["model_snapshot"])
			require.NoError(t, err)
			assert.Equal(t, name, s.Name)
			assert.GreaterOrEqual(t, s.Count, before, "nothing is forgotten")
			before = s.Count
			if i == len(files)-1 {
				assert.Equal(t, changes, s.Count)
			}
		}
	})
}

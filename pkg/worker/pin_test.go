package worker

import (
	"bytes"
	"context"
	"errors"
	"path/filepath"
	"strings"
	"testing"

	"github.com/rs/zerolog"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/torchserve-go/torchserve/pkg/model"
)

func TestPin(t *testing.T) {
	a := archive(t)
	python := filepath.Join(t.TempDir(), "python")
	torchrun := filepath.Join(filepath.Dir(python), "torchrun")
	touch(t, torchrun)
	const script = " /home/ts/ts/model_service_worker.py --sock-type"
	pinned := func(t *testing.T, c *CPULauncher, s Share, d model.Devices) (line, log string) {
		t.Helper()
		var out bytes.Buffer
		l := launch
		l.Python, l.CPULauncher = python, c
		l.Environ, l.Hidden = []string{"VISIBLE=1", "SECRET=1"}, func(name string) bool { return name == "SECRET" }
		w := New(Config{
			Port: 9000, Archive: a, Launch: l, Share: s, Settings: model.Settings{Devices: d},
			Log: func(string, string) zerolog.Logger { return zerolog.New(&out) },
		})
		args, err := l.command(9000, a, w.cfg.Settings, func(python string) []string { return w.pin(t.Context(), python) })
		require.NoError(t, err)
		return strings.Join(args, " "), out.String()
	}
	asked := ""
	works := func(_ context.Context, python, dir string, env []string) error {
		asked = python
		assert.Equal(t, a.Dir, dir, "where the worker runs")
		assert.Contains(t, env, "VISIBLE=1")
		assert.NotContains(t, env, "SECRET=1", "CFG-043")
		return nil
	}
	t.Run("WRK-047 one worker", func(t *testing.T) {
		for _, of := range []int{0, 1} {
			line, log := pinned(t, &CPULauncher{Args: []string{"--a", "b"}, Check: works}, Share{Of: of}, model.Devices{})
			assert.True(t, strings.HasPrefix(line, python+" -m torch.backends.xeon.run_cpu --a b"+script), line)
			assert.Equal(t, python, asked)
			assert.Empty(t, log)
		}
	})
	t.Run("WRK-047 one of several", func(t *testing.T) {
		line, _ := pinned(t, &CPULauncher{Check: works}, Share{Index: 2, Of: 3}, model.Devices{})
		assert.True(t, strings.HasPrefix(line, python+" -m torch.backends.xeon.run_cpu --ninstances 3 --rank 2"+script), line)
	})
	t.Run("WRK-047 each rank below torchrun", func(t *testing.T) {
		line, _ := pinned(t, &CPULauncher{Check: works}, Share{Index: 0, Of: 2}, model.Devices{Parallel: model.Tensor, Level: 2})
		assert.True(t, strings.HasPrefix(line, torchrun+" --nnodes 1 "), line)
		assert.Contains(t, line, " --max-restarts 1 -m torch.backends.xeon.run_cpu --ninstances 2 --rank 0"+script)
	})
	t.Run("WRK-047 without it, if it does not work", func(t *testing.T) {
		broken := func(context.Context, string, string, []string) error { return errors.New("no torch") }
		line, log := pinned(t, &CPULauncher{Args: []string{"--a"}, Check: broken}, Share{Index: 1, Of: 2}, model.Devices{})
		assert.True(t, strings.HasPrefix(line, python+script), line)
		assert.Contains(t, log, `"level":"warn","error":"no torch","message":"torch.backends.xeon.run_cpu is not available. Proceeding without worker core pinning.`)
	})
	t.Run("a worker that is scaled away meanwhile does not start", func(t *testing.T) {
		ctx, cancel := context.WithCancelCause(t.Context())
		gone := errors.New("gone")
		var out bytes.Buffer
		l := launch
		l.Python, l.CPULauncher = python, &CPULauncher{Check: func(context.Context, string, string, []string) error {
			cancel(gone)
			return gone
		}}
		w := New(Config{Archive: a, Launch: l, Log: func(string, string) zerolog.Logger { return zerolog.New(&out) }})
		require.ErrorIs(t, w.spawn(ctx), gone)
		assert.Nil(t, w.process())
		assert.Empty(t, out.String())
	})
}

package device

import (
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// patience is how long a test waits for a tool that does not come to an end.
const patience = 300 * time.Millisecond

func TestGrouped(t *testing.T) {
	t.Parallel()
	for want, f := range map[string]float64{
		"5": 5, "14.591": 14.591, "1,234": 1234, "0": 0, "1,234,567.5": 1234567.5, "0.001": 0.0011, "999": 999, "100": 100,
		"12,345.679": 12345.6789, "-1,000": -1000, "0.062": 0.0625,
	} {
		assert.Equal(t, want, grouped(f))
	}
	assert.Equal(t, "0", grouped(-0.0001))
}

// gauge is that of a machine with four devices, and the file in which its tool
// counts how often it was asked.
func gauge(t *testing.T, list string) (g *Gauge, count string, dir string) {
	t.Helper()
	dir = t.TempDir()
	count = filepath.Join(dir, "count")
	script(t, dir, "nvidia-smi", nvidia)
	settings := environ(dir, "COUNT="+count)
	if list != "" {
		settings = append(settings, "CUDA_VISIBLE_DEVICES="+list)
	}
	s, _ := Detect(t.Context(), settings)
	return NewGauge(s), count, dir
}

func TestGauge(t *testing.T) {
	t.Parallel()
	t.Run("DEV-019 the words of 0.12", func(t *testing.T) {
		t.Parallel()
		g, _, _ := gauge(t, "")
		text, err := g.Text(2)
		require.NoError(t, err)
		assert.Equal(t, "gpuId::2 utilization.gpu::2 % utilization.memory::0 % memory.used::1,232 MiB", text)
	})
	t.Run("DEV-005 the number of the tool, of what a list lets through", func(t *testing.T) {
		t.Parallel()
		g, _, _ := gauge(t, "3,MIG-1")
		text, err := g.Text(0)
		require.NoError(t, err)
		assert.Equal(t, "gpuId::3 utilization.gpu::3 % utilization.memory::0 % memory.used::1,233 MiB", text)
		text, err = g.Text(1)
		require.NoError(t, err)
		assert.Equal(t, "gpuId::MIG-1 utilization.gpu::0 % utilization.memory::0 % memory.used::0 MiB", text)
		_, err = g.Text(2)
		assert.EqualError(t, err, "there is no accelerator 2")
	})
	t.Run("many who ask share one run", func(t *testing.T) {
		t.Parallel()
		g, count, _ := gauge(t, "")
		ask := func() {
			var all sync.WaitGroup
			for n := range 4 {
				all.Go(func() {
					_, err := g.Text(n)
					assert.NoError(t, err)
				})
			}
			all.Wait()
		}
		ask()
		runs, err := os.ReadFile(count)
		require.NoError(t, err)
		assert.Equal(t, "x\n", string(runs))
		g.last.ended.Store(new(time.Now().Add(-fresh - time.Millisecond)))
		ask()
		runs, err = os.ReadFile(count)
		require.NoError(t, err)
		assert.Equal(t, 2, strings.Count(string(runs), "x"), "a second later it is asked again")
	})
	t.Run("DEV-020 a tool that fails", func(t *testing.T) {
		t.Parallel()
		g, _, dir := gauge(t, "")
		script(t, dir, "nvidia-smi", "echo gone; exit 1")
		_, err := g.Text(0)
		assert.ErrorContains(t, err, "memory.used --format=csv,nounits: exit status 1: gone")
	})
	t.Run("Apple tells nothing", func(t *testing.T) {
		t.Parallel()
		dir := t.TempDir()
		script(t, dir, "system_profiler", `echo '{"SPDisplaysDataType": [{"sppci_model": "Apple M1"}]}'`)
		s, _ := Detect(t.Context(), environ(dir))
		text, err := NewGauge(s).Text(0)
		require.NoError(t, err)
		assert.Equal(t, "gpuId::0 utilization.gpu::0 % utilization.memory::0 % memory.used::0 MiB", text)
	})
	t.Run("the arguments of the others", func(t *testing.T) {
		t.Parallel()
		for tool, c := range map[string]struct{ script, want string }{
			"rocm-smi": {
				`echo '{"card0": {"GPU use (%)": "7", "VRAM Total Used Memory (B)": "1073741824"}}'`,
				"gpuId::0 utilization.gpu::7 % utilization.memory::0 % memory.used::1,024 MiB",
			},
			"xpu-smi": {
				`[ "$*" = "dump -d -1 -m 0,5 -n 1" ] && printf 'Timestamp, DeviceId, a, b\n06:14, 0, 0.5, 14.61\n' || printf 'Device ID,Device Name\n0,A\n'`,
				"gpuId::0 utilization.gpu::0.5 % utilization.memory::14.61 % memory.used::0 MiB",
			},
		} {
			dir := t.TempDir()
			script(t, dir, tool, c.script)
			s, _ := Detect(t.Context(), environ(dir))
			text, err := NewGauge(s).Text(0)
			require.NoError(t, err)
			assert.Equal(t, c.want, text)
		}
	})
	t.Run("of nothing", func(t *testing.T) {
		t.Parallel()
		_, err := NewGauge(Set{All: make([]Accelerator, 1)}).Text(0)
		assert.Error(t, err)
	})
}

package e2e

import (
	_ "embed"
	"fmt"
	"net/http"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/torchserve-go/torchserve/test/e2e/e2etest"
)

//go:embed testdata/nvidia-smi
var nvidiaSMI string

// withDevices is a machine with four devices of NVIDIA.
func withDevices() e2etest.Option { return e2etest.Tool("nvidia-smi", nvidiaSMI) }

// banner returns what the log says at the start after a label.
func (l lab) banner(t *testing.T, label string) string {
	t.Helper()
	_, rest, found := strings.Cut(l.Stdout.String(), "\n"+label+": ")
	require.True(t, found, label)
	value, _, _ := strings.Cut(rest, "\n")
	return value
}

func TestDevices(t *testing.T) {
	t.Parallel()
	l := newLab(t, withDevices())
	l.AwaitReady()
	t.Run("DEV-004 DEV-015 the count", func(t *testing.T) {
		t.Parallel()
		assert.Equal(t, "4", l.In(t).banner(t, "Number of GPUs"))
		assert.NotContains(t, l.Stdout.String(), "Accelerators: ")
		assert.NotContains(t, l.Stdout.String(), "number_of_gpu")
	})
	t.Run("DEV-019 what describe says", func(t *testing.T) {
		t.Parallel()
		d := l.describe(t, "lab")
		assert.Equal(t, "gpu", d.DeviceType)
		require.Len(t, d.Workers, 1)
		assert.True(t, d.Workers[0].GPU)
		assert.Equal(t, "gpuId::0 utilization.gpu::10 % utilization.memory::0 % memory.used::1,230 MiB", d.Workers[0].GPUUsage, "the first device")
	})
	t.Run("WRK-005 what the handler is told", func(t *testing.T) {
		t.Parallel()
		gpu := l.world(t, "lab").Properties.GPU
		require.NotNil(t, gpu)
		assert.Zero(t, *gpu)
	})
	t.Run("SCH-070 DEV-017 deviceIds in turn", func(t *testing.T) {
		t.Parallel()
		l := l.In(t)
		l.archive(t, "chosen", "deviceIds: [2, 3]\nminWorkers: 3\nmaxWorkers: 3\n")
		d := l.describe(t, "chosen")
		assert.Equal(t, []int{2, 3}, d.DeviceIDs)
		assert.Equal(t, []string{"gpuId::2", "gpuId::3", "gpuId::2"}, d.devices())
		assert.Equal(t, "gpuId::3 utilization.gpu::0 % utilization.memory::0 % memory.used::0 MiB", d.Workers[1].GPUUsage, "DEV-008")
	})
	t.Run("SCH-070 DEV-017 a device that is not there voids the list", func(t *testing.T) {
		t.Parallel()
		l := l.In(t)
		l.archive(t, "beyond", "deviceIds: [2, 4]\n")
		assert.Nil(t, l.describe(t, "beyond").DeviceIDs)
		l.AwaitLog("ts_log.log", "Invalid deviceId:4, ignore deviceIds list")
	})
	t.Run("SCH-071 DEV-018 deviceType cpu", func(t *testing.T) {
		t.Parallel()
		l := l.In(t)
		l.archive(t, "slow", "deviceType: cpu\n")
		d := l.describe(t, "slow")
		assert.Equal(t, "cpu", d.DeviceType)
		assert.False(t, d.Workers[0].GPU)
		assert.Equal(t, "N/A", d.Workers[0].GPUUsage)
		assert.Nil(t, l.world(t, "slow").Properties.GPU)
	})
	t.Run("SCH-067 SCH-072 DEV-021 custom parallelism: one process, and only its devices", func(t *testing.T) {
		t.Parallel()
		l := l.In(t)
		l.archive(t, "custom", "parallelType: custom\nparallelLevel: 2\nminWorkers: 2\nmaxWorkers: 2\n")
		d := l.describe(t, "custom")
		assert.Equal(t, "custom", d.ParallelType)
		assert.Equal(t, 2, d.ParallelLevel)
		require.Len(t, d.Workers, 2)
		seen := map[string]string{}
		for _, w := range l.Workers() {
			for _, word := range w.Args {
				for _, each := range d.Workers {
					if strings.HasSuffix(word, ".ts.sock."+each.ID) {
						for _, setting := range w.Environ {
							if list, ok := strings.CutPrefix(setting, "CUDA_VISIBLE_DEVICES="); ok {
								seen[each.ID] = list
							}
						}
					}
				}
			}
		}
		assert.Len(t, seen, 2)
		var lists []string
		for _, list := range seen {
			lists = append(lists, list)
		}
		assert.ElementsMatch(t, []string{"0,1", "2,3"}, lists)
		assert.Equal(t, "x", l.askOf("custom", "echo", "x").Body)
	})
	t.Run("SCH-069 DEV-022 more devices than there are", func(t *testing.T) {
		t.Parallel()
		l := l.In(t)
		a := labArchive("parallelType: tp\nparallelLevel: 5\n")
		a.Name = "big"
		url := a.Write(t, l.Store)
		for _, parameters := range []string{"&synchronous=true", "&synchronous=false", ""} {
			reply := l.Manage(http.MethodPost, "/models?initial_workers=1&url="+url+parameters)
			assertFailure(t, reply, 500, "WorkerInitializationException", "No enough gpu devices for model:big parallelLevel:5")
		}
		assert.Equal(t, http.StatusNotFound, l.Manage(http.MethodGet, "/models/big").Status)
	})
	t.Run("SCH-069 workers are cut to the devices", func(t *testing.T) {
		t.Parallel()
		l := l.In(t)
		l.archive(t, "cut", "parallelType: custom\nparallelLevel: 3\nminWorkers: 2\nmaxWorkers: 4\n")
		d := l.describe(t, "cut")
		assert.Equal(t, []int{1, 1, 1}, []int{d.Min, d.Max, len(d.Workers)})
	})
}

// TestVisibleDevices starts servers whose user lets them see some devices only.
func TestVisibleDevices(t *testing.T) {
	t.Parallel()
	for list, c := range map[string]struct{ id, device, custom string }{
		"1,3":               {"DEV-005", "gpuId::1", "1,3"},
		"3, 1":              {"DEV-006", "gpuId::3", "3,1"},
		"GPU-2222,MIG-5c89": {"DEV-007", "gpuId::2", "GPU-2222,MIG-5c89"},
	} {
		t.Run(c.id+" SCH-072 "+list, func(t *testing.T) {
			t.Parallel()
			l := newLab(t, withDevices(), e2etest.Env("CUDA_VISIBLE_DEVICES="+list))
			assert.Equal(t, "2", l.banner(t, "Number of GPUs"))
			l.AwaitReady()
			assert.Equal(t, []string{c.device}, l.describe(t, "lab").devices())
			assert.Equal(t, list, l.world(t, "lab").Environ["CUDA_VISIBLE_DEVICES"], "as the server has it")
			l.archive(t, "custom", "parallelType: custom\nparallelLevel: 2\n")
			assert.Equal(t, c.custom, l.world(t, "custom").Environ["CUDA_VISIBLE_DEVICES"])
			assert.Equal(t, []string{c.device}, l.describe(t, "custom").devices())
		})
	}
	for _, list := range []string{"-1", "", "NoDevFiles"} {
		t.Run(fmt.Sprintf("DEV-007 none: %q", list), func(t *testing.T) {
			t.Parallel()
			l := newLab(t, withDevices(), e2etest.Env("CUDA_VISIBLE_DEVICES="+list))
			assert.Equal(t, "0", l.banner(t, "Number of GPUs"))
			assert.Equal(t, list == "-1", !strings.Contains(l.Stdout.String(), "CUDA_VISIBLE_DEVICES"), "what is not the usual way is said")
			l.AwaitReady()
			assert.Equal(t, []string{"N/A"}, l.describe(t, "lab").devices())
		})
	}
}

func TestNumberOfGPU(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		options []e2etest.Option
		count   string
		devices []string
	}{
		"DEV-016 as many workers as devices, beginning with the first": {
			[]e2etest.Option{e2etest.Env("CUDA_VISIBLE_DEVICES=0,1"), e2etest.Properties("default_workers_per_model=0")}, "2", []string{"gpuId::0", "gpuId::1"},
		},
		"DEV-013 smaller":          {[]e2etest.Option{e2etest.Properties("number_of_gpu=1", "default_workers_per_model=2")}, "1", []string{"gpuId::0", "gpuId::0"}},
		"DEV-013 larger":           {[]e2etest.Option{e2etest.Properties("number_of_gpu=9")}, "4", []string{"gpuId::0"}},
		"DEV-013 SCH-071 none":     {[]e2etest.Option{e2etest.Properties("number_of_gpu=0")}, "0", []string{"N/A"}},
		"CFG-017 DEV-014 variable": {[]e2etest.Option{e2etest.Properties("enable_envvars_config=true"), e2etest.Env("TS_NUMBER_OF_GPU=9")}, "4", []string{"gpuId::0"}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			l := newLab(t, append(c.options, withDevices())...)
			assert.Equal(t, c.count, l.banner(t, "Number of GPUs"))
			l.AwaitReady()
			assert.Equal(t, c.devices, l.describe(t, "lab").devices())
		})
	}
}

func TestBrokenTools(t *testing.T) {
	t.Parallel()
	t.Run("DEV-003 SCH-073 an nvidia-smi without a driver", func(t *testing.T) {
		t.Parallel()
		l := newLab(t, e2etest.Tool("nvidia-smi", "#!/bin/sh\necho 'NVIDIA-SMI has failed because it could not communicate with the NVIDIA driver.'\nexit 9\n"))
		assert.Equal(t, "0", l.banner(t, "Number of GPUs"))
		warnings := lines(l.Stdout.String(), "[WARN ]", "nvidia-smi")
		require.Len(t, warnings, 1)
		assert.Contains(t, warnings[0], "exit status 9: NVIDIA-SMI has failed because it could not communicate with the NVIDIA driver.")
		assert.Equal(t, "x", l.ask("echo", "x").Body)
	})
	t.Run("DEV-020 a tool that fails later", func(t *testing.T) {
		t.Parallel()
		l := newLab(t, e2etest.Tool("nvidia-smi", "#!/bin/sh\ncase $1 in *utilization*) exit 1;; esac\nprintf 'index, name\\n0, A\\n'\n"))
		l.AwaitReady()
		d := l.describe(t, "lab")
		assert.True(t, d.Workers[0].GPU)
		assert.Equal(t, "failed to obtained gpu usage", d.Workers[0].GPUUsage)
		l.AwaitLog("ts_log.log", "Exception Raised : ")
	})
	t.Run("DEV-010 DEV-021 AMD", func(t *testing.T) {
		t.Parallel()
		l := newLab(t, e2etest.Env("HIP_VISIBLE_DEVICES=1,0"),
			e2etest.Tool("rocm-smi", `#!/bin/sh
echo 'WARNING: AMD GPU device(s) is/are in a low-power state'
echo '{"card0": {"Card Series": "MI300", "GPU use (%)": "7"}, "card1": {"Card Series": "MI300", "VRAM Total Used Memory (B)": "1073741824"}, "system": {}}'
`))
		assert.Equal(t, "2", l.banner(t, "Number of GPUs"))
		l.AwaitReady()
		assert.Equal(t, "gpuId::1 utilization.gpu::0 % utilization.memory::0 % memory.used::1,024 MiB", l.describe(t, "lab").Workers[0].GPUUsage)
		l.archive(t, "custom", "parallelType: custom\nparallelLevel: 2\n")
		w := l.world(t, "custom")
		assert.Equal(t, "1,0", w.Environ["HIP_VISIBLE_DEVICES"])
		assert.NotContains(t, w.Environ, "CUDA_VISIBLE_DEVICES")
	})
}

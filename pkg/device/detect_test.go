package device

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// nvidia is an nvidia-smi of a machine with four devices.
const nvidia = `case $1 in
--query-gpu=index,gpu_name) echo 'index, name'; for i in 0 1 2 3; do echo "$i, NVIDIA A$i"; done;;
--query-gpu=index,uuid) echo 'index, uuid'; printf '0, GPU-00aa\n1, GPU-01bb\n2, GPU-02cc\n3, GPU-02dd\n';;
*) echo 'index, name, utilization.gpu [%], utilization.memory [%], memory.used [MiB]'
   echo x >> "$COUNT"; for i in 0 1 2 3; do echo "$i, NVIDIA A$i, $i, 0, 123$i"; done;;
esac
`

// ids returns how the devices are called by their tool.
func (s Set) ids() []string {
	ids := make([]string, 0, len(s.All))
	for _, a := range s.All {
		ids = append(ids, a.ID)
	}
	return ids
}

func TestDetect(t *testing.T) {
	t.Parallel()
	t.Run("DEV-001 no tool", func(t *testing.T) {
		t.Parallel()
		s, warnings := Detect(t.Context(), environ(t.TempDir()))
		assert.Empty(t, s.All)
		assert.Empty(t, warnings)
		s, warnings = Detect(t.Context(), nil)
		assert.Empty(t, s.All)
		assert.Empty(t, warnings)
	})
	t.Run("DEV-004 NVIDIA", func(t *testing.T) {
		t.Parallel()
		dir := t.TempDir()
		script(t, dir, "nvidia-smi", nvidia)
		s, warnings := Detect(t.Context(), environ(dir))
		assert.Empty(t, warnings)
		assert.Equal(t, "CUDA_VISIBLE_DEVICES", s.Variable)
		require.Len(t, s.All, 4)
		assert.Equal(t, Accelerator{ID: "3", Name: "NVIDIA A3", Mark: "3"}, s.All[3])
		assert.Equal(t, []string{"0", "1"}, s.First(2).ids())
		assert.Len(t, s.First(9).All, 4)
		assert.Empty(t, s.First(-1).All)
	})
	t.Run("a tool that leaves a process behind, which holds its output", func(t *testing.T) {
		t.Parallel()
		dir := t.TempDir()
		script(t, dir, "nvidia-smi", "sleep 3 &\n"+nvidia)
		s, warnings := Detect(t.Context(), environ(dir))
		assert.Len(t, s.All, 4)
		assert.Empty(t, warnings)
	})
	t.Run("DEV-002 in the order of vendors, the next one where one has nothing", func(t *testing.T) {
		t.Parallel()
		dir := t.TempDir()
		tools := []struct{ name, good, bad string }{
			{"rocm-smi", `echo '{"card0": {"Card Series": "AMD"}}'`, `echo '{"system": {}}'`},
			{"nvidia-smi", nvidia, "echo 'index, name'"},
			{"xpu-smi", "printf 'Device ID,Device Name\n0,Intel\n'", "echo 'Device ID,Device Name'"},
			{"system_profiler", `echo '{"SPDisplaysDataType": [{"sppci_model": "Apple M1"}]}'`, `echo '{}'`},
		}
		for _, tool := range tools {
			script(t, dir, tool.name, tool.good)
		}
		for i, tool := range tools {
			s, warnings := Detect(t.Context(), environ(dir))
			require.NotEmpty(t, s.All)
			assert.Contains(t, s.All[0].Name, []string{"AMD", "NVIDIA", "Intel", "Apple"}[i])
			assert.Empty(t, warnings)
			script(t, dir, tool.name, tool.bad)
		}
		s, _ := Detect(t.Context(), environ(dir))
		assert.Empty(t, s.All)
	})
	t.Run("the documented arguments", func(t *testing.T) {
		t.Parallel()
		dir := t.TempDir()
		said := filepath.Join(dir, "said")
		for _, name := range []string{"rocm-smi", "nvidia-smi", "xpu-smi", "system_profiler"} {
			script(t, dir, name, `echo "${0##*/} $*" >> "$SAID"`)
		}
		Detect(t.Context(), environ(dir, "SAID="+said))
		text, err := os.ReadFile(said)
		require.NoError(t, err)
		assert.Equal(t, "rocm-smi --showproductname -P --json\nnvidia-smi --query-gpu=index,gpu_name --format=csv,nounits\n"+
			"xpu-smi discovery --dump 1,2,16\nsystem_profiler -json -detailLevel mini SPDisplaysDataType\n", string(text))
	})
	for name, c := range map[string]struct{ tool, says string }{
		"fails":           {"echo 'NVIDIA-SMI has failed because it could not reach the driver'; echo more; exit 9", "nvidia-smi --query-gpu=index,gpu_name --format=csv,nounits: exit status 9: NVIDIA-SMI has failed because it could not reach the driver"},
		"says nothing":    {"exit 0", "no output"},
		"complains only":  {"echo 'no permission' >&2; exit 1", "exit status 1: no permission"},
		"says nonsense":   {"printf 'index\nwhat\n'", `this is no list of devices: "what"`},
		"is killed":       {"kill -9 $$", "signal: killed"},
		"cannot be run":   {"", ""},
		"talks for ever":  {"yes x", ""},
		"hangs":           {"exec sleep 60", "no answer within 10s"},
		"hangs and forks": {"sleep 2 & exec sleep 60", "no answer within 10s"},
	} {
		t.Run("DEV-003 SCH-073 a tool that "+name, func(t *testing.T) {
			t.Parallel()
			dir := t.TempDir()
			script(t, dir, "nvidia-smi", c.tool)
			ctx := t.Context()
			switch name {
			case "cannot be run":
				require.NoError(t, os.WriteFile(filepath.Join(dir, "nvidia-smi"), []byte("\x7fELF"), 0o700))
			case "hangs", "hangs and forks", "talks for ever": // ten seconds are too long for a test
				limited, cancel := context.WithTimeout(ctx, patience)
				defer cancel()
				ctx = limited
			}
			s, warnings := Detect(ctx, environ(dir))
			assert.Empty(t, s.All)
			require.Len(t, warnings, 1)
			assert.Contains(t, warnings[0], "Accelerators: "+filepath.Join(dir, "nvidia-smi"))
			assert.Contains(t, warnings[0], c.says)
		})
	}
}

func TestVisible(t *testing.T) {
	t.Parallel()
	for list, c := range map[string]struct {
		id, ids, says string
	}{
		"1,3":                      {"DEV-005", "1 3", ""},
		"3,1":                      {"in the order of the list", "3 1", ""},
		"1, 3\t":                   {"DEV-006", "1 3", ""},
		"1,3,1,3":                  {"DEV-006", "1 3", "Duplicate GPU IDs found in 1,3,1,3: [1, 3]. Duplicates will be removed."},
		"-1":                       {"DEV-007", "", ""},
		"2,-1,0":                   {"DEV-007 what hides ends the list", "2", ""},
		"":                         {"none", "", "CUDA_VISIBLE_DEVICES is empty: no accelerator is used"},
		"GPU-01bb,GPU-00":          {"DEV-007", "1 0", ""},
		"GPU-02":                   {"DEV-007 not one alone", "", `"GPU-02" is no accelerator`},
		"GPU-02d":                  {"DEV-007", "3", ""},
		"GPU-ff":                   {"DEV-007", "", `"GPU-ff" is no accelerator`},
		"MIG-5c89,0":               {"DEV-007", "MIG-5c89 0", ""},
		"0,7,1":                    {"what is not there ends the list", "0", `"7" is no accelerator`},
		"NoDevFiles":               {"DEV-007", "", `"NoDevFiles" is no accelerator`},
		"0,+1":                     {"no number", "0", `"+1" is no accelerator`},
		"0,99999999999999999999,1": {"no number", "0", `is no accelerator`},
		"01":                       {"a number", "1", ""},
	} {
		t.Run(c.id+" "+list, func(t *testing.T) {
			t.Parallel()
			dir := t.TempDir()
			script(t, dir, "nvidia-smi", nvidia)
			s, warnings := Detect(t.Context(), environ(dir, "CUDA_VISIBLE_DEVICES="+list))
			assert.Equal(t, strings.Fields(c.ids), s.ids())
			if c.says == "" {
				assert.Empty(t, warnings)
				return
			}
			require.Len(t, warnings, 1)
			assert.Contains(t, warnings[0], c.says)
		})
	}
	for variable, tool := range map[string]string{"HIP_VISIBLE_DEVICES": "rocm-smi", "XPU_VISIBLE_DEVICES": "xpu-smi"} {
		t.Run("DEV-010 "+variable, func(t *testing.T) {
			t.Parallel()
			dir := t.TempDir()
			script(t, dir, "rocm-smi", `echo '{"card0": {"Card Series": "A"}, "card1": {"Card Series": "B"}}'`)
			script(t, dir, "xpu-smi", `printf 'Device ID,Device Name\n0,A\n1,B\n'`)
			for list, want := range map[string][]string{"1": {"1"}, "": {"0", "1"}, "-1": {}, "GPU-x": {"GPU-x"}} {
				only := t.TempDir()
				require.NoError(t, os.Symlink(filepath.Join(dir, tool), filepath.Join(only, tool)))
				s, _ := Detect(t.Context(), environ(only, variable+"="+list, "CUDA_VISIBLE_DEVICES=7"))
				assert.Equal(t, variable, s.Variable)
				assert.Equal(t, want, s.ids(), list)
			}
		})
	}
	t.Run("a tool that does not tell UUIDs", func(t *testing.T) {
		t.Parallel()
		dir := t.TempDir()
		script(t, dir, "nvidia-smi", "case $1 in *uuid) exit 1;; esac\n"+nvidia)
		s, warnings := Detect(t.Context(), environ(dir, "CUDA_VISIBLE_DEVICES=GPU-01bb"))
		assert.Equal(t, []string{"GPU-01bb"}, s.ids(), "the runtime knows it")
		assert.Len(t, warnings, 1)
	})
}

func ExampleDetect() {
	s, warnings := Detect(context.Background(), []string{"PATH=/nowhere"})
	fmt.Println(len(s.All), len(warnings))
	// Output: 0 0
}

package device

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/torchserve-go/torchserve/pkg/procgroup/procgrouptest"
)

// named makes accelerators of ids and names that alternate.
func named(words ...string) (all []Accelerator) {
	for i := 0; i < len(words); i += 2 {
		all = append(all, Accelerator{ID: words[i], Name: words[i+1]})
	}
	return all
}

func TestParse(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		parse func(string) ([]Accelerator, error)
		text  string
		want  []Accelerator
		wrong bool
	}{
		"DEV-004 NVIDIA: the header is skipped, fields are trimmed": {
			parseNVIDIA, "index, name\n0,  NVIDIA A100-SXM4-80GB \r\n1, NVIDIA A100-SXM4-80GB\n\n",
			named("0", "NVIDIA A100-SXM4-80GB", "1", "NVIDIA A100-SXM4-80GB"), false,
		},
		"NVIDIA: a comma in a name":        {parseNVIDIA, "index, name\n0, Tesla, the first\n", named("0", "Tesla, the first"), false},
		"NVIDIA: a line that is no device": {parseNVIDIA, "index, name\n0, A\nUnable to talk to GPU 1\n-2, B\n2, C", named("0", "A", "2", "C"), true},
		"NVIDIA: a header only":            {parseNVIDIA, "index, name\n", nil, false},
		"NVIDIA: nothing":                  {parseNVIDIA, "No devices were found", nil, false},
		"DEV-009 AMD: cards among other keys": {
			parseAMD, `{"card1": {"Card Series": "B", "x": 1}, "system": {"Driver": "6"}, "card0": {"Card Series": "A"}, "cardx": {}, "card10": {"Card Series": "K"}}`,
			named("0", "A", "1", "B", "10", "K"), false,
		},
		"AMD: behind warnings, other names of the name": {
			parseAMD, "WARNING: AMD GPU device(s) is/are in a low-power state\n" + `{"card0": {"Card series": "A"}, "card1": {"Card Model": "B"}, "card2": {"Device Name": "C"}, "card3": {}}`,
			named("0", "A", "1", "B", "2", "C", "3", ""), false,
		},
		"AMD: a card that is none": {parseAMD, `{"card0": 7, "card1": {"Card Series": "B"}}`, named("1", "B"), true},
		"AMD: no JSON":             {parseAMD, "ERROR: no driver", []Accelerator{}, true},
		"AMD: broken JSON":         {parseAMD, `{"card0": {`, []Accelerator{}, true},
		"DEV-011 Intel: as documented": {
			parseIntel, "Device ID,Device Name,Memory Physical Size\n0,\"Intel(R) Data Center GPU Flex 170\",\"14248.00 MiB\"\n1,\"Intel(R) Data Center GPU Flex 170\",\"14248.00 MiB\"\n",
			named("0", "Intel(R) Data Center GPU Flex 170", "1", "Intel(R) Data Center GPU Flex 170"), false,
		},
		"Intel: a line that is no device": {parseIntel, "Device ID,Device Name\nnone\n3, A\n", named("3", "A"), true},
		"Intel: nothing":                  {parseIntel, "", nil, true},
		"DEV-012 Apple: its own": {
			parseApple, `{"SPDisplaysDataType": [{"_name": "x", "sppci_model": "Apple M2 Pro"}, {"sppci_model": "Apple M3"}]}`, named("0", "Apple M2 Pro"), false,
		},
		"DEV-012 Apple: another":   {parseApple, `{"SPDisplaysDataType": [{"sppci_model": "Intel Iris Plus Graphics"}]}`, nil, false},
		"DEV-012 Apple: no screen": {parseApple, `{"SPDisplaysDataType": []}`, nil, false},
		"Apple: no JSON":           {parseApple, `system_profiler: error`, nil, true},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			got, err := c.parse(c.text)
			assert.Equal(t, c.want, got)
			if c.wrong {
				assert.ErrorIs(t, err, errNoList)
			} else {
				assert.NoError(t, err)
			}
		})
	}
}

func TestGauges(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		read func(string) (map[string]Usage, error)
		text string
		want map[string]Usage
	}{
		"DEV-008 NVIDIA: what is not told is 0": {
			gaugesNVIDIA, "index, name, utilization.gpu [%], utilization.memory [%], memory.used [MiB]\n" +
				"0, Tesla, the first, 5, 12.5, 1234\n1, A100, [N/A], [Not Supported], 77\nnone\nx, A, 1, 2, 3\n",
			map[string]Usage{"0": {5, 12.5, 1234}, "1": {0, 0, 77}},
		},
		"DEV-009 AMD: bytes become whole MiB": {
			gaugesAMD, `{"card0": {"GPU use (%)": "14.591", "GPU Memory Allocated (VRAM%)": "3", "VRAM Total Used Memory (B)": "2097151"}, "card1": {"GPU use (%)": "N/A"}}`,
			map[string]Usage{"0": {14.591, 3, 1}, "1": {}},
		},
		"Intel": {
			gaugesIntel, "Timestamp, DeviceId, GPU Utilization (%), GPU Memory Utilization (%)\n06:14:46.000,    0, 0.50, 14.61\n06:14:46.000,    1, N/A,\nx\n",
			map[string]Usage{"0": {Busy: 0.5, Memory: 14.61}, "1": {}},
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			got, err := c.read(c.text)
			require.NoError(t, err)
			assert.Equal(t, c.want, got)
		})
	}
}

func FuzzParse(f *testing.F) {
	for _, seed := range []string{
		"index, name\n0, A\n1, B, C, 1, 2, 3\n", `{"card0": {"Card Series": "A", "GPU use (%)": 1e400}}`,
		"Device ID,Device Name\n0,\"A\"\n", `{"SPDisplaysDataType": [{"sppci_model": "Apple M1"}]}`, "06:14:46.000,    0, nan, inf\n",
	} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, text string) {
		for _, v := range vendors {
			found, _ := v.parse(text) // what is wrong with it is said elsewhere
			assert.LessOrEqual(t, len(found), len(text))
			for _, a := range found {
				_, isNumber := number(a.ID)
				assert.True(t, isNumber, a.ID)
			}
			if v.gauges == nil {
				continue
			}
			figures, _ := v.gauges(text) // the same
			for id, u := range figures {
				_, isNumber := number(id)
				assert.True(t, isNumber, id)
				assert.NotContains(t, grouped(u.Busy)+grouped(u.Memory), "N")
			}
		}
	})
}

func FuzzVisible(f *testing.F) {
	for _, seed := range []string{"", "0", "1,0", " 1 , 1 ", "-1", "GPU-ab", "MIG-x,0", "0,9,1", "NoDevFiles", ",", "+1", "00"} {
		f.Add(seed)
	}
	found := []Accelerator{{ID: "0", UUID: "GPU-aa"}, {ID: "1", UUID: "GPU-ab"}, {ID: "2", UUID: "GPU-b"}}
	f.Fuzz(func(t *testing.T, list string) {
		seen := map[string]bool{}
		for _, a := range vendors[1].visible(found, list, true, func(string) {}) {
			assert.False(t, seen[a.ID], "%q twice in %q", a.ID, list)
			seen[a.ID] = true
		}
	})
}

// script writes a vendor's tool that does what a shell script says.
func script(t *testing.T, dir, name, text string) {
	t.Helper()
	procgrouptest.Program(t, filepath.Join(dir, name), "#!/bin/sh\n"+text)
}

// environ is an environment whose PATH begins with a folder of tools.
func environ(dir string, more ...string) []string {
	return append([]string{"PATH=" + strings.Join([]string{dir, "/usr/bin", "/bin"}, string(os.PathListSeparator))}, more...)
}

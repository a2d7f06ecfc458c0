package device

import (
	"context"
	"errors"
	"strings"
)

// Accelerator is one device.
type Accelerator struct {
	ID   string // as the vendor's tool says it
	Name string
	UUID string // empty: not asked for
	Mark string // how a list of visible devices says it
}

// Set is the accelerators that the server may use, all of one vendor, in the
// order of their numbers. The zero value is none. Its slice must not be changed.
type Set struct {
	All []Accelerator
	// Variable is the environment variable that tells a process which devices it
	// sees; empty: the vendor has none.
	Variable string

	vendor *vendor
	tool   tool
}

// First returns the first n accelerators, or all.
func (s Set) First(n int) Set {
	s.All = s.All[:min(max(n, 0), len(s.All))]
	return s
}

// vendor is how the devices of one vendor are found.
type vendor struct {
	command  string
	variable string
	hides    bool // an empty variable lets a process see no device

	list   []string // arguments that ask which devices there are
	parse  func(text string) ([]Accelerator, error)
	uuids  []string // arguments that ask for their UUIDs; nil: the tool does not know them
	busy   []string // arguments that ask how busy they are; nil: the tool does not know it
	gauges func(text string) (map[string]Usage, error)
}

// vendors are the known ones, in the order in which they are tried (DEV-002).
//
//nolint:gochecknoglobals // read-only table
var vendors = []vendor{
	{
		command: "rocm-smi", variable: "HIP_VISIBLE_DEVICES",
		list: []string{"--showproductname", "-P", "--json"}, parse: parseAMD,
		busy: []string{
			"--showid", "--showproductname", "--showuse", "--showmemuse", "--showmeminfo", "vram", "-P", "--json",
		}, gauges: gaugesAMD,
	},
	{
		command: "nvidia-smi", variable: "CUDA_VISIBLE_DEVICES", hides: true,
		list: []string{"--query-gpu=index,gpu_name", "--format=csv,nounits"}, parse: parseNVIDIA,
		uuids: []string{"--query-gpu=index,uuid", "--format=csv,nounits"},
		busy: []string{
			"--query-gpu=index,gpu_name,utilization.gpu,utilization.memory,memory.used", "--format=csv,nounits",
		}, gauges: gaugesNVIDIA,
	},
	{
		command: "xpu-smi", variable: "XPU_VISIBLE_DEVICES",
		list: []string{"discovery", "--dump", "1,2,16"}, parse: parseIntel,
		busy: []string{"dump", "-d", "-1", "-m", "0,5", "-n", "1"}, gauges: gaugesIntel,
	},
	{
		command: "system_profiler",
		list:    []string{"-json", "-detailLevel", "mini", "SPDisplaysDataType"}, parse: parseApple,
	},
}

// Detect returns the accelerators that the first vendor has of whose tool the
// PATH in environ knows and who has any. Nothing keeps it from returning: what
// went wrong is said in warnings. It blocks until the tools have answered, ten
// seconds each at most.
func Detect(ctx context.Context, environ []string) (s Set, warnings []string) {
	warn := func(text string) { warnings = append(warnings, text) }
	path, _ := lookup(environ, "PATH")
	for i := range vendors {
		v := &vendors[i]
		t := tool{environ: environ}
		if t.path = find(path, v.command); t.path == "" {
			continue
		}
		found, err := v.discover(ctx, t)
		if err != nil {
			warn("Accelerators: " + err.Error())
		}
		if len(found) == 0 {
			continue
		}
		list, given := lookup(environ, v.variable)
		if given && strings.Contains(list, uuidMark) && v.uuids != nil {
			if err := t.nameUUIDs(ctx, v, found); err != nil {
				warn("Accelerators: " + err.Error())
			}
		}
		return Set{All: v.visible(found, list, given, warn), Variable: v.variable, vendor: v, tool: t}, warnings
	}
	return Set{}, warnings
}

// discover returns the devices that the tool lists; with an error those that it
// listed all the same.
func (v *vendor) discover(ctx context.Context, t tool) ([]Accelerator, error) {
	text, err := t.ask(ctx, v.list)
	if err != nil {
		return nil, err
	}
	found, err := v.parse(text)
	for i := range found {
		found[i].Mark = found[i].ID
	}
	return found, t.context(v.list, err)
}

// nameUUIDs asks for the UUIDs of devices that were found.
func (t tool) nameUUIDs(ctx context.Context, v *vendor, found []Accelerator) error {
	text, err := t.ask(ctx, v.uuids)
	if err != nil {
		return err
	}
	named, err := v.parse(text) // the UUID stands in the place of the name
	for _, n := range named {
		for i := range found {
			if found[i].ID == n.ID {
				found[i].UUID = n.Name
			}
		}
	}
	return t.context(v.uuids, err)
}

var errNoList = errors.New("this is no list of devices")

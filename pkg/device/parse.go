package device

import (
	"encoding/csv"
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"slices"
	"strconv"
	"strings"
)

// parseNVIDIA reads lines of an index and a name, which may hold commas, below a
// header. With an error it returns the devices of the lines that make sense.
func parseNVIDIA(text string) ([]Accelerator, error) {
	var found []Accelerator
	var wrong error
	for line := range body(text) {
		id, name, ok := strings.Cut(line, ",")
		id, known := number(id)
		if !ok || !known {
			wrong = fmt.Errorf("%w: %q", errNoList, line)
			continue
		}
		found = append(found, Accelerator{ID: id, Name: strings.TrimSpace(name)})
	}
	return found, wrong
}

// gaugesNVIDIA reads lines of index, name, busy, memory and used below a header;
// what a device does not tell, as [N/A], is 0.
func gaugesNVIDIA(text string) (map[string]Usage, error) {
	all := map[string]Usage{}
	for line := range body(text) {
		fields := strings.Split(line, ",")
		id, known := number(fields[0])
		if n := len(fields); known && n >= 5 {
			all[id] = Usage{Busy: figure(fields[n-3]), Memory: figure(fields[n-2]), Used: int64(figure(fields[n-1]))}
		}
	}
	return all, nil
}

// body yields the lines that say something below the first one.
func body(text string) func(yield func(string) bool) {
	return func(yield func(string) bool) {
		_, rest, _ := strings.Cut(text, "\n")
		for line := range strings.Lines(rest) {
			if line = strings.TrimSpace(line); line != "" && !yield(line) {
				return
			}
		}
	}
}

// card is what rocm-smi says of one device: texts, as a rule.
type card map[string]any

// cards reads the JSON of rocm-smi, behind what it may say before that. Keys
// that are no card are not looked at.
func cards(text string) (ids []int, all map[int]card, err error) {
	at := strings.IndexByte(text, '{')
	if at < 0 {
		return nil, nil, errNoList
	}
	var document map[string]json.RawMessage
	if err := json.NewDecoder(strings.NewReader(text[at:])).Decode(&document); err != nil {
		return nil, nil, fmt.Errorf("%w: %w", errNoList, err)
	}
	all = map[int]card{}
	for key, value := range document {
		digits, ok := strings.CutPrefix(key, "card")
		id, known := number(digits)
		if !ok || !known {
			continue
		}
		var c card
		if json.Unmarshal(value, &c) != nil {
			err = errors.Join(err, fmt.Errorf("%w: %s", errNoList, key))
			continue
		}
		n, _ := strconv.Atoi(id) // it is a number
		if _, twice := all[n]; !twice {
			ids = append(ids, n)
		}
		all[n] = c
	}
	slices.Sort(ids)
	return ids, all, err
}

func parseAMD(text string) ([]Accelerator, error) {
	ids, all, err := cards(text)
	found := make([]Accelerator, 0, len(ids))
	for _, id := range ids {
		found = append(found, Accelerator{ID: strconv.Itoa(id), Name: all[id].name()})
	}
	return found, err
}

// name is the product; not all versions of the tool call it the same.
func (c card) name() string {
	for _, key := range []string{"Card Series", "Card series", "Card Model", "Device Name"} {
		if name, ok := c[key].(string); ok && name != "" {
			return name
		}
	}
	return ""
}

func gaugesAMD(text string) (map[string]Usage, error) {
	ids, all, err := cards(text)
	figures := make(map[string]Usage, len(ids))
	for _, id := range ids {
		value := func(key string) float64 { return figure(fmt.Sprint(all[id][key])) }
		figures[strconv.Itoa(id)] = Usage{
			Busy:   value("GPU use (%)"),
			Memory: value("GPU Memory Allocated (VRAM%)"),
			Used:   int64(value("VRAM Total Used Memory (B)")) >> 20,
		}
	}
	return figures, err
}

// table returns the lines of a CSV text below its header, fields trimmed.
func table(text string) ([][]string, error) {
	r := csv.NewReader(strings.NewReader(text))
	r.FieldsPerRecord, r.LazyQuotes, r.TrimLeadingSpace = -1, true, true
	lines, err := r.ReadAll()
	if err != nil {
		return nil, fmt.Errorf("%w: %w", errNoList, err)
	}
	for _, fields := range lines {
		for i := range fields {
			fields[i] = strings.TrimSpace(fields[i])
		}
	}
	if len(lines) == 0 {
		return nil, errNoList
	}
	return lines[1:], nil
}

func parseIntel(text string) ([]Accelerator, error) {
	lines, err := table(text)
	var found []Accelerator
	for _, fields := range lines {
		id, known := number(fields[0])
		if !known || len(fields) < 2 {
			err = fmt.Errorf("%w: %q", errNoList, strings.Join(fields, ","))
			continue
		}
		found = append(found, Accelerator{ID: id, Name: fields[1]})
	}
	return found, err
}

// gaugesIntel reads lines of time, device, busy and memory.
func gaugesIntel(text string) (map[string]Usage, error) {
	lines, err := table(text)
	all := map[string]Usage{}
	for _, fields := range lines {
		if len(fields) < 4 {
			continue
		}
		if id, known := number(fields[1]); known {
			all[id] = Usage{Busy: figure(fields[2]), Memory: figure(fields[3])}
		}
	}
	return all, err
}

// parseApple finds the one GPU of a machine with Apple's own processor.
func parseApple(text string) ([]Accelerator, error) {
	var report struct {
		Displays []struct {
			Model string `json:"sppci_model"`
		} `json:"SPDisplaysDataType"`
	}
	if err := json.Unmarshal([]byte(text), &report); err != nil {
		return nil, fmt.Errorf("%w: %w", errNoList, err)
	}
	if len(report.Displays) == 0 || !strings.HasPrefix(report.Displays[0].Model, "Apple M") {
		return nil, nil
	}
	return []Accelerator{{ID: "0", Name: report.Displays[0].Model}}, nil
}

// number returns the shortest form of a number from 0 that fits into 31 bits.
func number(text string) (string, bool) {
	n, err := strconv.ParseUint(strings.TrimSpace(text), 10, 31)
	return strconv.FormatUint(n, 10), err == nil
}

// figure returns a number of a tool's output; 0 for what is none.
func figure(text string) float64 {
	f, err := strconv.ParseFloat(strings.TrimSpace(text), 64)
	if err != nil || math.IsNaN(f) || math.Abs(f) > math.MaxInt32*float64(1<<20) {
		return 0
	}
	return f
}

package device

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
	"unicode"
)

// Beginnings of entries that are no number: a device, a part of one.
const (
	uuidMark = "GPU-"
	migMark  = "MIG-"
)

// visible returns the devices that a process with this list in its variable sees,
// in the order of the list: as the vendor's runtime reads it, an entry that is
// no device ends it.
func (v *vendor) visible(found []Accelerator, list string, given bool, warn func(string)) []Accelerator {
	stripped := strings.Map(func(r rune) rune {
		if unicode.IsSpace(r) {
			return -1
		}
		return r
	}, list)
	switch {
	case !given || stripped == "" && !v.hides:
		return found
	case stripped == "":
		warn(v.variable + " is empty: no accelerator is used")
		return nil
	}
	var seen []Accelerator
	var twice []string
	for entry := range strings.SplitSeq(stripped, ",") {
		a, ok := match(found, entry)
		if !ok {
			if entry != "-1" { // the usual way to hide all
				warn(fmt.Sprintf("%s=%s: %q is no accelerator of this machine, it and what follows are not used", v.variable, list, entry))
			}
			break
		}
		if slices.ContainsFunc(seen, func(s Accelerator) bool { return s.ID == a.ID }) {
			twice = append(twice, entry)
			continue
		}
		seen = append(seen, a)
	}
	if len(twice) > 0 {
		warn(fmt.Sprintf("Duplicate GPU IDs found in %s: [%s]. Duplicates will be removed.", list, strings.Join(twice, ", ")))
	}
	return seen
}

// match returns the device that an entry of a list says: its number, its UUID or
// the beginning of that, or a part of a device, which counts as one.
func match(found []Accelerator, entry string) (Accelerator, bool) {
	named := func(a Accelerator) bool { return strings.HasPrefix(a.UUID, entry) }
	switch {
	case strings.HasPrefix(entry, uuidMark) && slices.ContainsFunc(found, func(a Accelerator) bool { return a.UUID != "" }):
		at := slices.IndexFunc(found, named)
		if at < 0 || slices.ContainsFunc(found[at+1:], named) {
			return Accelerator{}, false
		}
		a := found[at]
		a.Mark = entry
		return a, true
	case strings.HasPrefix(entry, migMark), strings.HasPrefix(entry, uuidMark):
		return Accelerator{ID: entry, Mark: entry}, true // only the runtime knows it
	}
	n, err := strconv.ParseUint(entry, 10, 31)
	if err != nil {
		return Accelerator{}, false
	}
	at := slices.IndexFunc(found, func(a Accelerator) bool { return a.ID == strconv.FormatUint(n, 10) })
	if at < 0 {
		return Accelerator{}, false
	}
	return found[at], true
}

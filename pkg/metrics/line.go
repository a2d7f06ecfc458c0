package metrics

import (
	"errors"
	"math"
	"strconv"
	"strings"
	"unicode"
)

// line is a metric line of a worker without its mark:
//
//	name.unit:value|#name:value,…[|#type:TYPE]|#hostname:host,seconds[,request ids]
//
// The texts are parts of it.
type line struct {
	name, unit string
	number     string // as written
	value      float64
	dims       string // name:value, with commas between them
	kind       string // COUNTER, GAUGE, HISTOGRAM; empty: not said
	host       string
	time       string
	request    string // one or several ids with commas between them
	requested  bool   // there is a request
}

var (
	errLine   = errors.New("not a metric line")
	errNumber = errors.New("the value is not finite")
)

// parseLine reads a superset of what 0.12 read (MET §8.2). It returns errNumber
// for a line that is well formed and whose value is not finite.
func parseLine(text string) (line, error) {
	text = strings.TrimLeftFunc(text, unicode.IsSpace)
	colon := strings.IndexByte(text, ':')
	dot := strings.LastIndexByte(text[:max(colon, 0)], '.')
	if dot <= 0 || dot+1 == colon || strings.IndexByte(text[:colon], '|') >= 0 {
		return line{}, errLine
	}
	l := line{name: text[:dot], unit: text[dot+1 : colon]}
	var ok bool
	if l.number, text, ok = strings.Cut(text[colon+1:], "|#"); !ok {
		return line{}, errLine
	}
	if text, ok = l.cutDimensions(text); !ok {
		return line{}, errLine
	}
	if l.host, text, ok = strings.Cut(text, ","); !ok {
		return line{}, errLine
	}
	l.time, l.request, l.requested = strings.Cut(text, ",")
	var err error
	l.value, err = parseNumber(l.number)
	return l, err
}

// cutDimensions takes the dimensions and the type off text, and the mark of the
// host after them.
func (l *line) cutDimensions(text string) (rest string, ok bool) {
	bar := strings.IndexByte(text, '|')
	if bar < 0 {
		return "", false
	}
	l.dims, text = text[:bar], text[bar:]
	if typed, ok := strings.CutPrefix(text, "|#type:"); ok {
		if bar = strings.IndexByte(typed, '|'); bar <= 0 {
			return "", false
		}
		l.kind, text = typed[:bar], typed[bar:]
	}
	return strings.CutPrefix(text, "|#hostname:")
}

func parseNumber(text string) (float64, error) {
	switch strings.ToLower(strings.TrimLeft(text, "+-")) {
	case "nan", "inf", "infinity":
		return 0, errNumber
	}
	if strings.Trim(text, "0123456789+-.eE") != "" {
		return 0, errLine
	}
	v, err := strconv.ParseFloat(text, 64)
	switch {
	case math.IsInf(v, 0):
		return 0, errNumber
	case err != nil:
		return 0, errLine
	default:
		return v, nil
	}
}

// cutDimension takes the first dimension off dims. An item without a colon goes
// on with the value before it: a:b,c is the value "b,c".
func cutDimension(dims string) (name, value, rest string, ok bool) {
	colon := strings.IndexByte(dims, ':')
	if colon < 0 {
		return "", "", "", false
	}
	name = dims[strings.LastIndexByte(dims[:colon], ',')+1 : colon]
	dims = dims[colon+1:]
	for end := 0; ; end++ {
		comma := strings.IndexByte(dims[end:], ',')
		if comma < 0 {
			return name, dims, "", true
		}
		end += comma
		item, _, _ := strings.Cut(dims[end+1:], ",")
		if strings.IndexByte(item, ':') >= 0 {
			return name, dims[:end], dims[end+1:], true
		}
	}
}

// appendValues appends the values of the dimensions, the host last.
func (l *line) appendValues(dst []string) []string {
	for _, value, rest, ok := cutDimension(l.dims); ok; _, value, rest, ok = cutDimension(rest) {
		dst = append(dst, value)
	}
	return append(dst, l.host)
}

// dimensions returns the names of the dimensions.
func (l *line) dimensions() []string {
	var names []string
	for name, _, rest, ok := cutDimension(l.dims); ok; name, _, rest, ok = cutDimension(rest) {
		names = append(names, name)
	}
	return names
}

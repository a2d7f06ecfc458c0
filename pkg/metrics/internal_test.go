package metrics

import (
	"math"
	"strconv"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func TestNumber(t *testing.T) {
	t.Parallel()
	for want, v := range map[string]float64{ // the table of MET §12.3
		"0.0": 0, "-0.0": math.Copysign(0, -1), "1.0": 1, "-1.0": -1, "290371.129": 290371.129, "0.001": 1e-3, "0.5": .5, "-0.25": -.25,
		"9999999.0": 9999999, "9999999.5": 9999999.5, "1.0E7": 1e7, "1.234567891E9": 1234567891, "9.99E-4": 9.99e-4, "1.0E-4": 1e-4, "1.7E12": 1.7e12,
		"-1.5E-300": -1.5e-300, "1.7976931348623157E308": math.MaxFloat64, "5.0E-324": math.SmallestNonzeroFloat64,
		"NaN": math.NaN(), "+Inf": math.Inf(1), "-Inf": math.Inf(-1),
	} {
		assert.Equal(t, want, string(appendNumber(nil, v)))
		assert.Equal(t, "x=1 y="+want, string(appendNumber([]byte("x=1 y="), v)), "appended")
	}
}

func FuzzNumber(f *testing.F) {
	for _, v := range []float64{0, 1, -1e7, 1e-4, 123.456} {
		f.Add(v)
	}
	f.Fuzz(func(t *testing.T, v float64) {
		text := string(appendNumber(nil, v))
		back, err := strconv.ParseFloat(text, 64)
		require.NoError(t, err)
		if !math.IsNaN(v) {
			require.InDelta(t, v, back, 0, text)
		}
		if !math.IsInf(v, 0) && !math.IsNaN(v) {
			require.Contains(t, text, ".")
		}
	})
}

func TestParseLine(t *testing.T) {
	t.Parallel()
	const node = "node1"
	for name, c := range map[string]struct {
		text string
		want line
	}{
		"MET-041 PredictionTime": {
			"PredictionTime.Milliseconds:83.13|#ModelName:resnet18,Level:Model|#type:GAUGE|#hostname:node1,1718000000,4f6e0c1a-8a52-4d0b-8d0e-0d5b3b8f3c11",
			line{
				name: "PredictionTime", unit: "Milliseconds", number: "83.13", value: 83.13, dims: "ModelName:resnet18,Level:Model", kind: "GAUGE", host: node,
				time: "1718000000", request: "4f6e0c1a-8a52-4d0b-8d0e-0d5b3b8f3c11", requested: true,
			},
		},
		"MET-041 HandlerTime of a batch": {
			"HandlerTime.Milliseconds:82.93|#ModelName:resnet18,Level:Model|#type:GAUGE|#hostname:node1,1718000000,id-a,id-b",
			line{
				name: "HandlerTime", unit: "Milliseconds", number: "82.93", value: 82.93, dims: "ModelName:resnet18,Level:Model", kind: "GAUGE", host: node,
				time: "1718000000", request: "id-a,id-b", requested: true,
			},
		},
		"MET-041 InitializeCallCount": {
			"InitializeCallCount.Count:1|#ModelName:mnist,Level:Model|#type:COUNTER|#hostname:node1,1718000000,9b1f…",
			line{
				name: "InitializeCallCount", unit: "Count", number: "1", value: 1, dims: "ModelName:mnist,Level:Model", kind: "COUNTER", host: node,
				time: "1718000000", request: "9b1f…", requested: true,
			},
		},
		"MET-041 InferenceRequestCount": {
			"InferenceRequestCount.Count:1|#|#type:COUNTER|#hostname:node1,1718000000",
			line{name: "InferenceRequestCount", unit: "Count", number: "1", value: 1, kind: "COUNTER", host: node, time: "1718000000"},
		},
		"MET-041 SizeOfImage": {
			"SizeOfImage.Kilobytes:0.265625|#ModelName:mnist,Level:Model|#type:GAUGE|#hostname:node1,1718000000,9b1f…",
			line{
				name: "SizeOfImage", unit: "Kilobytes", number: "0.265625", value: 0.265625, dims: "ModelName:mnist,Level:Model", kind: "GAUGE", host: node,
				time: "1718000000", request: "9b1f…", requested: true,
			},
		},
		"MET-042 without a type, after blanks": {
			" \t A.B:1|#|#hostname:h,2", line{name: "A", unit: "B", number: "1", value: 1, host: "h", time: "2"},
		},
		"MET-043 a positive exponent": {
			"A.B:1e+16|#|#hostname:h,2", line{name: "A", unit: "B", number: "1e+16", value: 1e16, host: "h", time: "2"},
		},
		"an exponent in capitals": {
			"A.B:-1E5|#|#hostname:h,2", line{name: "A", unit: "B", number: "-1E5", value: -1e5, host: "h", time: "2"},
		},
		"a name with other characters": {
			"a-b/c.d é.m/s:1|#|#hostname:h,2", line{name: "a-b/c.d é", unit: "m/s", number: "1", value: 1, host: "h", time: "2"},
		},
		"an empty request": {
			"A.B:1|#|#hostname:h,2,", line{name: "A", unit: "B", number: "1", value: 1, host: "h", time: "2", requested: true},
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			l, err := parseLine(c.text)
			require.NoError(t, err)
			assert.Equal(t, c.want, l)
		})
	}
	for _, text := range []string{
		"", ":", "A", "A.B", "A.B:1", ".B:1|#|#hostname:h,2", "A.:1|#|#hostname:h,2", "AB:1|#|#hostname:h,2", "A.B:|#|#hostname:h,2",
		"A.B:x|#|#hostname:h,2", "A.B:0x1p4|#|#hostname:h,2", "A.B:1_0|#|#hostname:h,2", "A.B:1,5|#|#hostname:h,2", "A.B:-|#|#hostname:h,2",
		"A.B:1|#|#hostname:h", "A.B:1|#a:b#hostname:h,2", "A.B:1|#a:b", "A.B:1|#|#type:|#hostname:h,2", "A.B:1|#|#type:GAUGE", "A|#.B:1|#|#hostname:h,2",
		"A.B:1|#|#kind:GAUGE|#hostname:h,2",
		"Failed to update metric with name:a.b and dimensions: x:y with value: 1: Metric update value must be a number",
	} {
		_, err := parseLine(text)
		require.ErrorIs(t, err, errLine, text)
	}
	for _, number := range []string{"nan", "NaN", "inf", "-inf", "+Infinity", "1e999", "-1e999"} {
		l, err := parseLine("A.B:" + number + "|#|#hostname:h,2")
		require.ErrorIs(t, err, errNumber, number)
		assert.Equal(t, "A", l.name)
	}
}

func TestDimensions(t *testing.T) {
	t.Parallel()
	for dims, want := range map[string][2][]string{
		"":                             {nil, nil},
		"a:b":                          {{"a"}, {"b"}},
		"a:b,c:d":                      {{"a", "c"}, {"b", "d"}},
		"a:,c:d":                       {{"a", "c"}, {"", "d"}},
		":b":                           {{""}, {"b"}},
		"a:b:c,d:http://h:1/x":         {{"a", "d"}, {"b:c", "http://h:1/x"}},
		"a:b,c,d,e:f,g":                {{"a", "e"}, {"b,c,d", "f,g"}},
		"a:b,,c:d":                     {{"a", "c"}, {"b,", "d"}},
		"x,y,a:b":                      {{"a"}, {"b"}},
		"x":                            {nil, nil},
		"Level: Model ,ModelName: m n": {{"Level", "ModelName"}, {" Model ", " m n"}},
	} {
		l := line{dims: dims, host: "h"}
		assert.Equal(t, want[0], l.dimensions(), dims)
		assert.Equal(t, append(want[1], "h"), l.appendValues(nil), dims)
	}
}

func FuzzParseLine(f *testing.F) {
	f.Add("PredictionTime.Milliseconds:83.13|#ModelName:resnet18,Level:Model|#type:GAUGE|#hostname:node1,1718000000,id-a,id-b")
	f.Add("A.B:1e+16|#a:b:c,d,e:|#hostname:h,2")
	f.Add("A.B:nan|#|#hostname:h,2,")
	f.Fuzz(func(t *testing.T, text string) {
		l, err := parseLine(text)
		if err != nil {
			return
		}
		require.False(t, math.IsNaN(l.value) || math.IsInf(l.value, 0))
		require.Len(t, l.appendValues(nil), len(l.dimensions())+1)
		for _, part := range []string{l.name, l.unit, l.number, l.dims, l.kind, l.host, l.time, l.request} {
			require.Contains(t, text, part)
		}
		again, err := parseLine(format(l))
		require.NoError(t, err)
		require.Equal(t, l, again)
	})
}

// format writes a line as the Python package does.
func format(l line) string {
	text := l.name + "." + l.unit + ":" + l.number + "|#" + l.dims
	if l.kind != "" {
		text += "|#type:" + l.kind
	}
	text += "|#hostname:" + l.host + "," + l.time
	if l.requested {
		text += "," + l.request
	}
	return text
}

func FuzzParse(f *testing.F) {
	f.Add("ts_metrics:\n  counter:\n    - name: a\n      unit: b\n      dimensions: [c]\nmodel_metrics: {gauge: []}\n")
	f.Add("dimensions: [&a x]\nmodel_metrics: {histogram: [{name: 1, unit: yes, dimensions: [*a]}, {name: 1, unit: u, dimensions: []}]}")
	f.Add("ts_metrics: [")
	f.Fuzz(func(t *testing.T, text string) {
		defs, findings, err := parse([]byte(text))
		if err != nil {
			return
		}
		for _, list := range [][]Definition{defs.Server, defs.Model} {
			seen := map[string]bool{}
			for i, d := range list {
				require.NotEmpty(t, d.Name)
				require.NotEmpty(t, d.Unit)
				require.NotNil(t, d.Dimensions)
				require.False(t, seen[d.Name], "once")
				seen[d.Name] = true
				require.True(t, i == 0 || list[i-1].Type <= d.Type, "in order")
				legal := d.legal()
				require.True(t, isName(legal.Name, true))
			}
		}
		for _, f := range findings {
			require.NotEmpty(t, f.text)
		}
		New(Config{Mode: Prometheus, Definitions: defs}).expose(nil)
	})
}

func TestFit(t *testing.T) {
	t.Parallel()
	values := []string{"a", "b", "host"}
	for n, want := range []string{"", "a", "a,b", "a,b,host", "a,b,,host", "a,b,,,host"} {
		assert.Equal(t, want, strings.Join(fit(values, n), ","))
	}
}

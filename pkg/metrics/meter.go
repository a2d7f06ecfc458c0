package metrics

import "github.com/torchserve-go/torchserve/pkg/visible"

// meter is a defined metric at work.
type meter struct {
	head     string   // of its log line, up to the value: "QueueTime.Milliseconds:"
	names    []string // of its dimensions in the log line: "Level:", and ",DeviceId:" for all but the first
	family   *family  // its series; nil: updates are logged
	detected bool     // taken over from a line
}

func newMeter(d Definition) *meter {
	m := &meter{head: visible.String(d.Name + "." + d.Unit + ":")}
	for i, name := range d.Dimensions {
		if i > 0 {
			name = "," + name
		}
		m.names = append(m.names, visible.String(name+":"))
	}
	return m
}

// appendTo appends the log line of an update up to its host, which is the last
// of values (MET §14):
//
//	QueueTime.Milliseconds:1.0|#Level:Host|#hostname:node1
//
// Names without a value and values without a name are left out.
func (m *meter) appendTo(dst []byte, value float64, values []string) []byte {
	dst = append(dst, m.head...)
	dst = appendNumber(dst, value)
	dst = append(dst, "|#"...)
	host := len(values) - 1
	for i := range min(len(m.names), host) {
		dst = append(dst, m.names[i]...)
		dst = visible.Append(dst, values[i])
	}
	dst = append(dst, "|#hostname:"...)
	return visible.Append(dst, values[host])
}

// fit returns n values where an update has another number of them, the host
// last (D5): as many as there are, or with empty ones before the host.
func fit(values []string, n int) []string {
	fitted := make([]string, n)
	copy(fitted, values)
	if host := len(values) - 1; n > len(values) {
		fitted[host], fitted[n-1] = "", values[host]
	}
	return fitted
}

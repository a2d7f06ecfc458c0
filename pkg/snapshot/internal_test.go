package snapshot

import (
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// TestStamp: whatever the clock does, later snapshots have later names and times.
func TestStamp(t *testing.T) {
	t.Parallel()
	berlin, err := time.LoadLocation("Europe/Berlin")
	if err != nil {
		t.Skip("no time zones here")
	}
	summer := time.Date(2026, 10, 25, 0, 59, 59, 999e6, time.UTC) // 02:59:59.999 in Berlin, for the first time
	for name, c := range map[string]struct {
		clock []time.Time
		want  []string
	}{
		"D-CLI-23 in the same millisecond": {
			[]time.Time{summer, summer.Add(time.Microsecond), summer},
			[]string{"20261025025959999", "20261025030000000", "20261025030000001"},
		},
		"D-CLI-23 at the end of summer": {
			[]time.Time{summer, summer.Add(time.Millisecond), summer.Add(time.Hour), summer.Add(time.Hour + time.Second)},
			[]string{"20261025025959999", "20261025030000000", "20261025030000001", "20261025030000999"},
		},
		"D-CLI-23 a clock that is set back": {
			[]time.Time{summer, summer.Add(-24 * time.Hour), summer.Add(time.Minute)},
			[]string{"20261025025959999", "20261025030000000", "20261025030000001"},
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			var s stamp
			for i, now := range c.clock {
				before := s
				s = s.next(now.In(berlin))
				assert.Equal(t, c.want[i]+"-snapshot.cfg", s.name(change))
				require.Greater(t, s.created.UnixMilli(), before.created.UnixMilli())
			}
		})
	}
}

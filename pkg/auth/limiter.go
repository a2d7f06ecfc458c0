package auth

import (
	"net/netip"
	"sync"
	"time"
)

// Guessing is made slow, never impossible (D-TOK-6).
const (
	tolerated    = 20                     // refusals of one address
	window       = 10 * time.Second       // in which they are counted, at least
	penalty      = 250 * time.Millisecond // delay of each refusal beyond
	maxAddresses = 4096                   // remembered per window
)

// limiter counts refusals per remote address in two generations of a window
// each, so that it forgets without a scan and stays small whatever comes.
type limiter struct {
	mu      sync.Mutex // Protects fields below
	since   time.Time  // when recent began
	recent  map[netip.Prefix]int
	earlier map[netip.Prefix]int
}

// refused counts a refusal of remote ("host:port") at now and returns how long
// its answer is to wait.
func (l *limiter) refused(remote string, now time.Time) time.Duration {
	l.mu.Lock()
	defer l.mu.Unlock()
	age := now.Sub(l.since)
	if l.recent == nil || age >= window || len(l.recent) >= maxAddresses {
		l.earlier, l.recent, l.since = l.recent, map[netip.Prefix]int{}, now
	}
	if age >= 2*window {
		l.earlier = nil
	}
	from := origin(remote)
	l.recent[from]++
	if l.recent[from]+l.earlier[from] <= tolerated {
		return 0
	}
	return penalty
}

// origin returns what counts as one address: an IPv4 address, or the network
// that one IPv6 client has to itself. All that is no address is one origin.
func origin(remote string) netip.Prefix {
	const wholeIPv4, networkIPv6 = 32, 64
	ap, err := netip.ParseAddrPort(remote)
	if err != nil {
		return netip.Prefix{}
	}
	addr := ap.Addr().Unmap()
	if addr.Is4() {
		return netip.PrefixFrom(addr, wholeIPv4)
	}
	return netip.PrefixFrom(addr.WithZone(""), networkIPv6).Masked()
}

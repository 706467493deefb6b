package vps

import "sync"

// uploads counts the requests of each device whose body is being read or stored. A device that sends slowly holds the
// places it has for long: with a bound on them it leaves the others theirs.
type uploads struct {
	mu sync.Mutex
	of map[string]int
}

// begin counts one more of device, unless that has most already.
func (u *uploads) begin(device string, most int) bool {
	u.mu.Lock()
	defer u.mu.Unlock()
	if u.of[device] >= most {
		return false
	}
	if u.of == nil {
		u.of = map[string]int{}
	}
	u.of[device]++
	return true
}

func (u *uploads) end(device string) {
	u.mu.Lock()
	defer u.mu.Unlock()
	if u.of[device]--; u.of[device] == 0 {
		delete(u.of, device)
	}
}

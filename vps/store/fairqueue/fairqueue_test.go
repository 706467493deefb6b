package fairqueue

import (
	"fmt"
	"slices"
	"testing"
	"time"

	"sunspool/vps/store/storetest"
)

// taken are the groups in which writes of these devices are taken that wait, named by their device.
func taken(w *Queue[string]) (groups [][]string) {
	for !w.Empty() {
		groups = append(groups, w.Take())
	}
	return groups
}

// TestSmallWritesDoNotWaitForMany that one device has sent before them, however many devices do.
func TestSmallWritesDoNotWaitForMany(t *testing.T) {
	for _, devices := range []int{1, 19} {
		for _, cost := range []int{300, 1000, heavyCost, 5000} {
			var w Queue[string]
			for range 40 {
				for i := range devices {
					w.Add(fmt.Sprint("much", i), cost, "much")
				}
			}
			w.Take() // is being stored when the others come
			for i := range 20 {
				w.Add(fmt.Sprint("little", i), 30, "little")
			}
			before, seen := 0, 0
			for _, group := range taken(&w) {
				little := 0
				for _, device := range group {
					if device == "little" {
						little++
					}
				}
				if seen += little; seen < 20 {
					before++
				}
				if little > 0 && cost >= heavyCost && little < len(group) {
					t.Errorf("%d devices, cost %d: small writes wait for a heavy one in their transaction", devices, cost)
				}
			}
			if before > 1 || seen != 20 {
				t.Errorf("%d devices, cost %d: small writes wait for %d transactions", devices, cost, before)
			}
		}
	}
}

// TestHeavyWritesHaveTheirTurn while small ones never end.
func TestHeavyWritesHaveTheirTurn(t *testing.T) {
	var w Queue[string]
	w.Add("a", 5000, "heavy a")
	w.Add("b", 5000, "heavy b")
	var order []string
	for i := range 8 {
		w.Add(fmt.Sprint(i), 30, "small")
		order = append(order, w.Take()...)
	}
	if i, j := slices.Index(order, "heavy a"), slices.Index(order, "heavy b"); i < 0 || j < i {
		t.Errorf("the order is %v", order)
	}
}

// TestWritesOfADeviceKeepTheirOrder, and all of them are taken.
func TestWritesOfADeviceKeepTheirOrder(t *testing.T) {
	var w Queue[int]
	want := map[int][]int{}
	for i := range 400 {
		device := i % 7
		want[device] = append(want[device], i)
		w.Add(fmt.Sprint(device), 1+i*37%6000, i)
	}
	got := map[int][]int{}
	for !w.Empty() {
		group := w.Take()
		if len(group) == 0 {
			t.Fatal("nothing is taken, but something waits")
		}
		for _, i := range group {
			got[i%7] = append(got[i%7], i)
		}
	}
	for device := range want {
		if !slices.Equal(got[device], want[device]) {
			t.Errorf("device %d: %v", device, got[device])
		}
	}
	if len(w.of) > 0 || w.Take() != nil {
		t.Error("something is left")
	}
}

// A write into many spans costs more than one of as many rows in one, and none costs nothing.
func TestSpansCost(t *testing.T) {
	times := func(n int, step time.Duration) func(func(int64) bool) {
		return func(yield func(int64) bool) {
			for i := range n {
				if !yield(storetest.Noon.Add(time.Duration(i) * step).UnixMilli()) {
					return
				}
			}
		}
	}
	for _, c := range []struct {
		n    int
		step time.Duration
		want int
	}{{1000, 5 * time.Second, 1000}, {1000, 5 * time.Minute, 5000}, {30, time.Second, 30}, {1, time.Second, SpanCost}} {
		if got := Cost(times(c.n, c.step)); got != c.want {
			t.Errorf("%d rows each %v cost %d, want %d", c.n, c.step, got, c.want)
		}
	}
}

// TestRestGoesBeforeTheOthersOfItsDevice, and after what is light of others.
func TestRestGoesBeforeTheOthersOfItsDevice(t *testing.T) {
	var w Queue[string]
	w.Add("a", 2000, "first of a")
	w.Add("a", 2000, "second of a")
	w.Add("b", 30, "light")
	var order []string
	for left := 2000; !w.Empty(); {
		for _, write := range w.Take() {
			order = append(order, write)
			if left -= 600; write == "first of a" && left > 0 {
				w.PutBack("a", left, write)
			}
		}
	}
	want := []string{"light", "first of a", "first of a", "first of a", "second of a"}
	if !slices.Equal(order, want) {
		t.Errorf("the order is %q, not %q", order, want)
	}
}

// TestPutBackGivesNoRight: a device whose writes were put back is no better off than one that comes now.
func TestPutBackGivesNoRight(t *testing.T) {
	var w Queue[string]
	for range 3 {
		w.Add("much", 400, "much")
	}
	for range w.Take() { // all of them, so the device has none that waits when the first is put back
		w.PutBack("much", 400, "much")
	}
	w.Add("little", 30, "little")
	if group := w.Take(); group[0] != "little" {
		t.Errorf("a small write waits behind what was put back: %q", group)
	}
}

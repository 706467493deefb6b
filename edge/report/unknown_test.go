package report

import (
	"slices"
	"strings"
	"testing"

	"sunspool/edge/inverter/invertertest"
	"sunspool/edge/reading"
)

// Registers that contradict each other for three polls are part of the status, with what is left over, and end with it.
func TestContradictionIsToldAfterThreePolls(t *testing.T) {
	r, _, _, _ := testReport(t)
	poll := func(change map[uint16]uint16) {
		_, f, err := reading.Normalize(invertertest.ReadingOf(t, invertertest.HybridImage, change))
		if err != nil {
			t.Fatal(err)
		}
		r.Found(f)
	}
	told := func() bool { return slices.Contains(r.State().Reasons, "registers_contradict") }
	differ := map[uint16]uint16{5600: 500, 5601: 0} // the meter's own register buys, the inverter sells
	for i := range 4 {
		if told() != (i > 2) {
			t.Errorf("after %d polls: %v", i, told())
		}
		poll(differ)
	}
	if h := r.Now(); h.Counts["contradicting_polls"] != 4 || h.Status != StateDegraded {
		t.Errorf("%v, %s", h.Counts, h.Status)
	}
	poll(nil)
	if h := r.Now(); told() || h.Counts["contradicting_polls"] != 0 || h.Counts["balance_residual_watts"] != 86 {
		t.Errorf("they agree again: %v, %v", told(), h.Counts)
	}
	lossy := map[uint16]uint16{5016: 5000, 5010: 5270} // PV that goes where no register counts
	for range 3 {
		poll(lossy)
	}
	if s := r.State(); !told() || !strings.Contains(s.Sentence, "1360 W") {
		t.Errorf("%+v", s)
	}
}

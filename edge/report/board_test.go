package report

import (
	"slices"
	"strings"
	"testing"
)

func TestStatusOfSeveralInvertersIsOneLineWithTheWorstFirst(t *testing.T) {
	var told []string
	b := NewBoard([]string{"roof", "garage"}, func(line string) { told = append(told, line) })
	b.Set("roof", StateOK, "ok: reads the SH10RT every 10s")
	b.Set("garage", StateDegraded, "degraded: it does not answer")
	b.Set("garage", StateDegraded, "degraded: it does not answer")
	b.Set("roof", StateBlocked, "blocked: the token is refused")
	b.Set("garage", StateOK, "ok")
	want := []string{
		"roof: ok: reads the SH10RT every 10s",
		"garage: degraded: it does not answer | roof: ok: reads the SH10RT every 10s",
		"roof: blocked: the token is refused | garage: degraded: it does not answer",
		"roof: blocked: the token is refused | garage: ok",
	}
	if !slices.Equal(told, want) {
		t.Errorf("told\n%s", strings.Join(told, "\n"))
	}
	told = nil
	NewBoard([]string{"roof"}, func(line string) { told = append(told, line) }).Set("roof", StateOK, "ok")
	if !slices.Equal(told, []string{"ok"}) {
		t.Errorf("of one inverter: %q", told)
	}
}

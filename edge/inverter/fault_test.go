package inverter

import (
	"context"
	"errors"
	"fmt"
	"net"
	"strings"
	"syscall"
	"testing"

	"sunspool/health"
)

func TestFaultsAreExplained(t *testing.T) {
	timeout := &net.OpError{Op: "dial", Err: context.DeadlineExceeded}
	for _, c := range []struct {
		err  error
		code string
	}{
		{&net.DNSError{Err: "no such host", Name: "winet-s.local"}, "inverter_unreachable"},
		{&net.OpError{Op: "dial", Err: syscall.ECONNREFUSED}, "inverter_unreachable"},
		{&net.OpError{Op: "dial", Err: syscall.EHOSTUNREACH}, "inverter_unreachable"},
		{timeout, "inverter_unreachable"},
		{fmt.Errorf("answer: %w", context.DeadlineExceeded), "inverter_silent"},
		{syscall.ECONNRESET, "inverter_reset"},
		{errFraming, "inverter_garbled"},
		{&otherInverter{who: "A2212345678", want: "A2287654321", confirmed: true}, "inverter_changed"},
		{&otherInverter{who: "A2212345678", want: "A2287654321"}, "inverter_garbled"},
		{errNotReady, "inverter_not_ready"},
		{errZeros, "inverter_not_ready"},
		{&exception{code: 11, err: errors.New("x")}, "inverter_exception"},
	} {
		f, ok := errors.AsType[*health.Fault](explain("192.0.2.7:502", 1, c.err))
		if !ok || f.Code != c.code || f.Exit != health.ExitUnreachable {
			t.Errorf("%v: %+v, want %s", c.err, f, c.code)
		}
	}
}

// What the owner is told to set when one of several inverters was replaced has the number in its place.
func TestReplacedInverterOfSeveralIsConfirmedInItsPlace(t *testing.T) {
	for place, want := range map[Place]string{{}: "SUNGROW_SERIAL=A22…567;", {0, 2}: "SUNGROW_SERIAL=A22…567,;", {1, 2}: "SUNGROW_SERIAL=,A22…567;", {1, 3}: "SUNGROW_SERIAL=,A22…567,;"} {
		f := explain("192.168.1.7:502", 2, &otherInverter{who: "A22B1234567", want: "A21B7654321", confirmed: true, place: place})
		if !strings.Contains(f.Next, want) {
			t.Errorf("%+v: %+v, want %s", place, f, want)
		}
	}
}

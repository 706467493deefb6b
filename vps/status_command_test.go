//go:build unix

package vps

import (
	"errors"
	"testing"

	"sunspool/health"
)

// The operator's socket says whether samples can be stored, and how each device is.
func TestStatusOfTheServer(t *testing.T) {
	dir := t.TempDir()
	at := MachineConfig{DataDir: dir}
	r := start(t, Config{DataDir: dir, DeviceTokens: "t1-0123456789abcdef:inv-1", Version: "1.2.3"})
	s, err := AskStatus(t.Context(), at)
	if err != nil || !s.Ready || s.Version != "1.2.3" || len(s.Devices) != 1 || s.Devices[0].State != "never" {
		t.Errorf("%+v, %v", s, err)
	}
	if err := r.stop(); err != nil {
		t.Fatal(err)
	}
	_, err = AskStatus(t.Context(), at)
	if f, ok := errors.AsType[*health.Fault](err); !ok || f.Code != "no_server" {
		t.Errorf("a server that is not there: %v", err)
	}
}

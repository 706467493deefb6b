//go:build unix

package vps

import (
	"errors"
	"net/http"
	"testing"
	"time"

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
	answer, err := http.DefaultClient.Do(postTo(r.public, "t1-0123456789abcdef", `{"samples":[{"device_id":"inv-1","ts":"`+time.Now().UTC().Format(time.RFC3339)+`","pv_power_w":0,"pv_daily_kwh":0,"battery_power_w":null,"battery_soc_pct":null,"battery_temp_c":null,"load_power_w":null,"export_power_w":null,"sample_count":1}]}`))
	if err != nil || answer.StatusCode != http.StatusOK {
		t.Fatalf("%v, %v", answer, err)
	}
	answer.Body.Close()
	if s, err = AskStatus(t.Context(), at); err != nil || s.Devices[0].Today != nil {
		t.Errorf("%+v, %v", s.Devices[0], err)
	}
	s.AddToday(t.Context(), at)
	if s.Devices[0].Today == nil || s.Devices[0].Today.Date == "" {
		t.Errorf("%+v", s.Devices[0].Today)
	}
	if err := r.stop(); err != nil {
		t.Fatal(err)
	}
	_, err = AskStatus(t.Context(), at)
	if f, ok := errors.AsType[*health.Fault](err); !ok || f.Code != "no_server" {
		t.Errorf("a server that is not there: %v", err)
	}
}

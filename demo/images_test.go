package demo

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"sunspool/edge/registers"
	"sunspool/edge/report"
	"sunspool/edge/simulator"
)

// What the images do not say, so that there is no sample, and how health.json names it.
var withoutSample = map[string]string{
	"real-partial-evcc18473-charging": "inverter_not_ready",
	"official-example-13000":          "inverter_not_ready",
	"official-example-sh25t":          "reading_no_value",
}

// The main job on real input, by real processes: simulate serves each image, an edge polls it and uploads to a vps over
// TLS, and the vps answers what the image is known to mean.
func TestImagesArriveAsTheyMean(t *testing.T) {
	if testing.Short() {
		t.Skip("SKIPPED, NOTHING IS SHOWN: starts 31 processes")
	}
	s := newSite(t)
	var tokens []string
	for i := range simulator.Images() {
		tokens = append(tokens, fmt.Sprintf("t0ken-0123456789abcdef-%d:image%d", i, i))
	}
	s.serve(strings.Join(tokens, ","))
	var wg sync.WaitGroup
	for i, image := range simulator.Images() {
		device, token := fmt.Sprint("image", i), fmt.Sprint("t0ken-0123456789abcdef-", i)
		wg.Go(func() {
			modbus := s.simulate(device, "--image", image.ID)
			e := s.edge(device, token, modbus)
			if code := withoutSample[image.ID]; code != "" {
				s.awaitLink(image.ID, device, token, code)
			} else {
				s.awaitImage(image, device, token)
			}
			if err := e.end(syscall.SIGTERM); err != nil {
				t.Errorf("%s: the edge, told to stop, says %v", image.ID, err)
			}
		})
	}
	wg.Wait()
	s.noSecrets("t0ken-0123456789abcdef")
}

// simulate starts an inverter of its own process and returns its address.
func (s *site) simulate(name string, args ...string) (address string) {
	s.t.Helper()
	log := name + ".sim.log"
	s.start(log, nil, append([]string{"simulate", "--listen", "127.0.0.1:0"}, args...)...)
	found := regexp.MustCompile(`on (127\.0\.0\.1:\d+)`)
	for deadline := time.Now().Add(patience); time.Now().Before(deadline); time.Sleep(20 * time.Millisecond) {
		text, _ := os.ReadFile(filepath.Join(s.dir, log))
		if m := found.FindSubmatch(text); m != nil {
			return string(m[1])
		}
	}
	s.t.Errorf("the simulator %v does not listen", args)
	return net.JoinHostPort("127.0.0.1", "1")
}

// awaitImage waits for the answer of the second poll, the first that has block A whole for every family.
func (s *site) awaitImage(image simulator.Image, device, token string) {
	var answer map[string]any
	var seen any
	for deadline := time.Now().Add(patience); ; time.Sleep(200 * time.Millisecond) {
		if time.Now().After(deadline) {
			s.t.Errorf("%s: no second sample on the server: %v", image.ID, answer)
			return
		}
		resp, err := s.get("/v1/realtime?device_id="+device, token)
		if err != nil || resp.StatusCode != 200 {
			continue
		}
		answer = nil
		if err := json.NewDecoder(resp.Body).Decode(&answer); err != nil {
			s.t.Error(err)
			return
		}
		if seen == nil {
			seen = answer["ts"]
		}
		if answer["ts"] != seen {
			break
		}
	}
	// Neither battery nor meter: what the registers say of them was not measured.
	withoutAll := strings.Contains(image.ID, "no-meter") || strings.Contains(image.ID, "no-battery")
	for field, derived := range map[string]string{
		"pv_power_w": "pv_dc_power_w", "battery_power_w": "battery_power_w", "load_power_w": "load_power_w", "export_power_w": "export_power_w",
	} {
		want, known := image.Derived[derived].(float64)
		if got := answer[field]; known && got != want && !(got == nil && withoutAll) {
			s.t.Errorf("%s: %s is %v, want %v", image.ID, field, got, want)
		}
	}
	model, _ := registers.ModelOf(*image.DeviceType)
	if model.Family == "" {
		model.Hybrid = true
	}
	values, _ := answer["values"].(map[string]any)
	compared := 0
	for name, want := range image.Expected {
		reg, ok := model.Map().Lookup(name)
		if _, number := want.(float64); !ok || !number || reg.Block == "" {
			continue
		}
		if _, given := values[name]; !given && (want == 0.0 || withoutAll || name == "daily_yield_string") {
			continue // a 0 that nothing supports, what only a meter measures, a yield that may be yesterday's
		}
		compared++
		if values[name] != want {
			s.t.Errorf("%s: values.%s is %v, want %v", image.ID, name, values[name], want)
		}
	}
	if compared == 0 {
		s.t.Errorf("%s: nothing was compared", image.ID)
	}
}

// awaitLink waits until the edge says by that code why there is no sample, and checks that there is none.
func (s *site) awaitLink(id, device, token, code string) {
	var h report.Health
	for deadline := time.Now().Add(patience); ; time.Sleep(200 * time.Millisecond) {
		text, err := os.ReadFile(filepath.Join(s.dir, device, "health.json"))
		if err == nil && json.Unmarshal(text, &h) == nil && len(h.Links) > 0 && h.Links[0].Code == code {
			break
		}
		if time.Now().After(deadline) {
			s.t.Errorf("%s: health.json says %+v, want %s", id, h.Links, code)
			return
		}
	}
	resp, err := s.get("/v1/realtime?device_id="+device, token)
	if err != nil || resp.StatusCode != 404 {
		s.t.Errorf("%s: realtime answers %v, %v, want 404", id, resp, err)
	}
}

// noSecrets fails if a file that the processes wrote, but for their spools, has the text.
func (s *site) noSecrets(text string) {
	s.t.Helper()
	err := filepath.WalkDir(s.dir, func(path string, d os.DirEntry, err error) error {
		if err != nil || !d.Type().IsRegular() {
			return err
		}
		f, err := os.Open(path)
		if errors.Is(err, os.ErrNotExist) {
			return nil
		} else if err != nil {
			return err
		}
		defer f.Close()
		b, err := io.ReadAll(f)
		if strings.Contains(string(b), text) {
			s.t.Errorf("%s has the token", path)
		}
		return err
	})
	if err != nil {
		s.t.Error(err)
	}
}

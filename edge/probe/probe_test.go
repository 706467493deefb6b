package probe

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"sunspool/edge/inverter/invertertest"
	"sunspool/edge/simulator"
	"sunspool/health"
	"sunspool/internal/checklist"
)

// look probes a simulated inverter in virtual time.
func look(t *testing.T, o simulator.Options, polls int) (p *Probe, r *Report) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		o.Unit = 1
		sim, err := simulator.New(o)
		if err != nil {
			t.Fatal(err)
		}
		p = probeOf(t, invertertest.New(t, sim).Dial)
		if r, err = p.Run(t.Context(), polls); err != nil {
			t.Fatal(err)
		}
		a := sim.Audit()
		if a.Connects > 1 || a.PollGap.Count > 0 && a.PollGap.Least < 5*time.Second || a.RequestGap.Count > 0 && a.RequestGap.Least < 20*time.Millisecond {
			t.Errorf("it was not kind: %+v", a)
		}
	})
	return p, r
}

// probeOf is a probe of an address that no other test has.
func probeOf(t *testing.T, dial func(context.Context, string, string) (net.Conn, error)) *Probe {
	return &Probe{Host: fmt.Sprintf("dongle-%d-%s", os.Getpid(), strings.ToLower(t.Name())), Port: 502, Unit: 1, Dial: dial}
}

func find(r *Report, area string) checklist.Check {
	i := slices.IndexFunc(r.Checks, func(c checklist.Check) bool { return c.Area == area })
	if i < 0 {
		return checklist.Check{}
	}
	return r.Checks[i]
}

// Every image of a real unit that shows a PV power is usable, says what it is, and what is saved can be served again and gives
// the same report.
func TestEveryImageIsUnderstoodAndCanBeServedAgain(t *testing.T) {
	for _, image := range simulator.Images() {
		t.Run(image.ID, func(t *testing.T) {
			_, known := image.Derived["pv_power_w"]
			p, r := look(t, simulator.Options{Image: &image}, 1)
			if !r.Usable {
				if known {
					t.Fatalf("not usable: %+v", r.Checks)
				}
				t.Skip("this image has too few words for a sample")
			}
			file := filepath.Join(t.TempDir(), "image.json")
			if err := p.save(r, file); err != nil {
				t.Fatal(err)
			}
			text, _ := os.ReadFile(file)
			if serial := p.last.Serial; serial != "" && bytes.Contains(text, []byte(serial)) {
				t.Error("the file has the serial number")
			}
			again, err := simulator.LoadImage(file)
			if err != nil {
				t.Fatal(err)
			}
			_, second := look(t, simulator.Options{Image: again}, 1)
			first, _ := json.Marshal(r.Testimonies)
			served, _ := json.Marshal(second.Testimonies)
			if !bytes.Equal(first, served) {
				t.Errorf("served again the witnesses read\n%s, not\n%s", served, first)
			}
		})
	}
}

// A probe names what stands in the way, in the words of the edge.
func TestWhatStandsInTheWayIsNamed(t *testing.T) {
	refuse := func(context.Context, string, string) (net.Conn, error) {
		return nil, &net.OpError{Op: "dial", Err: syscall.ECONNREFUSED}
	}
	silent := func(context.Context, string, string) (net.Conn, error) {
		ours, theirs := net.Pipe()
		go func() {
			buffer := make([]byte, 300)
			for {
				if _, err := theirs.Read(buffer); err != nil {
					return
				}
			}
		}()
		return ours, nil
	}
	for name, c := range map[string]struct {
		dial func(context.Context, string, string) (net.Conn, error)
		area string
		code string
		next string
	}{
		"port closed": {refuse, "network", "inverter_unreachable", "enable Modbus TCP"},
		"silent":      {silent, "modbus", "inverter_silent", "one client"},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				r, err := probeOf(t, c.dial).Run(t.Context(), 2)
				if err != nil {
					t.Fatal(err)
				}
				check := find(r, c.area)
				if check.State != checklist.Fail || check.Code != c.code || !strings.Contains(check.Next, c.next) {
					t.Errorf("%+v", r.Checks)
				}
				f, ok := verdict(r).(*health.Fault)
				if !ok || f.Exit != health.ExitUnreachable || f.Next == "" {
					t.Errorf("the verdict is %+v", f)
				}
			})
		})
	}
}

// An inverter with another clock than this host says so, and one of another time zone is told apart.
func TestClockIsCompared(t *testing.T) {
	for name, c := range map[string]struct {
		off  time.Duration
		want checklist.State
		says string
	}{
		"right":         {0, checklist.OK, ""},
		"an hour ahead": {time.Hour, checklist.Warn, "time zone"},
		"in Nepal":      {5*time.Hour + 45*time.Minute + 50*time.Second, checklist.Warn, "time zone"},
		"10 min ahead":  {10*time.Minute + 2*time.Second, checklist.Warn, "set date and time"},
		"17 min ahead":  {17 * time.Minute, checklist.Warn, "set date and time"},
		"21 min ahead":  {21 * time.Minute, checklist.Warn, "set date and time"},
		"34 min ahead":  {34 * time.Minute, checklist.Warn, "set date and time"},
	} {
		t.Run(name, func(t *testing.T) {
			start := time.Date(2000, 1, 1, 0, 0, 0, 0, time.UTC) // of the bubble
			_, zone := start.In(time.Local).Zone()
			home, err := simulator.NewHome(simulator.HomeOptions{Model: "SH10RT", Seed: 1, Zone: time.FixedZone("", zone+int(c.off.Seconds())), Since: start})
			if err != nil {
				t.Fatal(err)
			}
			_, r := look(t, simulator.Options{Home: home, Start: start, Speed: 1}, 1)
			if check := find(r, "clock"); check.State != c.want || !strings.Contains(check.Next, c.says) {
				t.Errorf("%+v", check)
			}
		})
	}
}

func TestAddressesAreRead(t *testing.T) {
	for text, want := range map[string]string{
		"192.168.1.100": "192.168.1.100 502", "dongle.local:1502": "dongle.local 1502", "fd00::5": "fd00::5 502", "[fd00::5]:503": "fd00::5 503", "[fd00::5]": "fd00::5 502",
		"": "", "http://dongle": "", "a b": "", "host:0": "", "host:70000": "", "host:x": "", "user@host": "", ":502": "", "192.168.1.300": "", "192.168.1": "", "300.1.1.1:502": "", "host.": "host. 502", "winet1": "winet1 502",
	} {
		host, port, err := SplitAddress(text)
		if got := fmt.Sprint(host, " ", port); (err == nil) != (want != "") || err == nil && got != want {
			t.Errorf("%q is %q, %v", text, got, err)
		}
	}
}

// The lines are at most 80 columns wide, and plain where the terminal is.
func TestWhatIsPrinted(t *testing.T) {
	image, err := simulator.LoadImage(invertertest.HybridImage)
	if err != nil {
		t.Fatal(err)
	}
	p, r := look(t, simulator.Options{Image: image}, 2)
	for _, plain := range []bool{false, true} {
		var out bytes.Buffer
		Command{Style: checklist.Style{Plain: plain}}.print(&out, p, r, Config{})
		for line := range strings.Lines(out.String()) {
			if n := len([]rune(strings.TrimSuffix(line, "\n"))); n > 80 {
				t.Errorf("%d columns: %s", n, line)
			}
			if plain && strings.ContainsFunc(line, func(r rune) bool { return r > 126 }) {
				t.Errorf("not plain: %s", line)
			}
		}
		for _, area := range []string{"network", "modbus", "device", "solar", "battery", "grid", "home", "balance", "Usable"} {
			if !strings.Contains(out.String(), area) {
				t.Errorf("%s is missing in\n%s", area, out.String())
			}
		}
	}
}

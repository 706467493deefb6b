package edge

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"os"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"sunspool/edge/inverter"
	"sunspool/edge/inverter/invertertest"
	"sunspool/edge/registers"
	"sunspool/edge/simulator"
	"sunspool/edge/upload/uploadtest"
	"sunspool/health"
)

// An edge that logs all that it can, raw words included, meets another inverter, faults and its own inverter again: neither
// serial number is in the log, in the health file or in its status, as text or as words.
func TestSerialNumberIsInNoLogAndNoStatus(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		home := func(seed uint64) *simulator.Server {
			c := simulator.Config{Model: "SH10RT", Seed: seed, Speed: 1, TZ: "UTC", Unit: 1, Date: "2026-06-21T12:00"}
			sim, err := c.Server(time.Now(), nil)
			if err != nil {
				t.Fatal(err)
			}
			return sim
		}
		first, other := home(1), home(2)
		var answers atomic.Pointer[simulator.Server] // of the two
		answers.Store(first)
		e, _, file := edgeTo(t, uploadtest.Tripper(func(*http.Request) (*http.Response, error) { return nil, errors.New("no network") }))
		var log bytes.Buffer
		all := slog.New(slog.NewJSONHandler(&log, &slog.HandlerOptions{Level: slog.LevelDebug}))
		e.Log, e.Inverter.Log, e.Report.Log, e.Clock.Log, e.RawEach = all, all, all, all, 1
		e.Report.Chain = health.New(now, all)
		e.Inverter.Dongle.Link.Dial = func(ctx context.Context, network, address string) (net.Conn, error) {
			return (&invertertest.Bed{T: t, Sim: answers.Load()}).Dial(ctx, network, address)
		}
		ctx, stop := context.WithCancel(t.Context())
		ended := make(chan error, 1)
		go func() { ended <- e.Run(ctx) }()
		serials, state := map[string]bool{}, ""
		live := func(d time.Duration, faults ...string) {
			(&invertertest.Bed{T: t, Sim: answers.Load()}).Faults(faults...)
			for end := time.Now().Add(d); time.Now().Before(end); {
				time.Sleep(time.Minute)
				synctest.Wait()
				serials[e.Inverter.Known.Serial] = true
				text, err := os.ReadFile(file)
				if err != nil {
					t.Fatal(err)
				}
				state += string(text) + fmt.Sprintln(e.Report.Status(), e.Report.State(), *e.Report.Describe())
			}
		}
		live(5 * time.Minute)
		for _, next := range []*simulator.Server{other, first} {
			live(time.Minute, "off") // which ends the connection
			answers.Store(next)
			live(10 * time.Minute)
		}
		live(5*time.Minute, "second-client", "wrong-unit@0.5")
		live(5*time.Minute, "bad-count@0.5", "half@0.3")
		stop()
		if err := <-ended; err != nil {
			t.Error(err)
		}
		serialNumber, _ := registers.Hybrid().Lookup("serial_number")
		second := invertertest.New(t, home(2))
		serials[second.MustPoll().Serial] = true
		second.In.Dongle.Close()
		delete(serials, "")
		text := log.String() + state
		if len(serials) != 2 || !strings.Contains(text, `"raw words"`) || !strings.Contains(text, "inverter_changed") {
			t.Fatalf("the test tests little: serial numbers %v, %d bytes of log", serials, log.Len())
		}
		for serial := range serials {
			if strings.Contains(text, serial) {
				t.Errorf("%s is in the log or in the status", serial)
			}
			if !strings.Contains(text, inverter.MaskSerial(serial)) {
				t.Errorf("%s is nowhere, not even shortened", serial)
			}
			for i := 0; i+1 < len(serial); i += 2 {
				word := fmt.Sprintf(`"%d":%d`, serialNumber.Address()+uint16(i/2), int(serial[i])<<8|int(serial[i+1]))
				if strings.Contains(text, word) {
					t.Errorf("word %s of %s is in the log", word, serial)
				}
			}
		}
	})
}

package simulator

import (
	"bytes"
	"context"
	"encoding/binary"
	"encoding/json"
	"io"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"sunspool/edge/registers"
	"sunspool/settings"
)

func TestImagesAreServedWordByWord(t *testing.T) {
	if len(Images()) != 15 {
		t.Fatalf("%d images", len(Images()))
	}
	for _, image := range Images() {
		t.Run(image.ID, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				s := newServer(t, Options{Image: &image})
				c := dial(t, s)
				for _, table := range []struct {
					function byte
					words    registers.Words
				}{{readInput, image.Input}, {readHolding, image.Holding}} {
					refused := 0
					for address, want := range table.words {
						f := request(address, 1)
						f[7] = table.function
						answer := ask(t, c, f)
						if table.function == readInput && inside(image.Refused, address) {
							if refused++; answer[7]&0x80 == 0 || answer[8] != illegalAddress {
								t.Fatalf("%d is not refused", address)
							}
						} else if got := binary.BigEndian.Uint16(answer[9:]); answer[7] != table.function || got != want {
							t.Fatalf("%d is %d, want %d", address, got, want)
						}
					}
				}
				if answer := ask(t, c, request(40000, 1)); binary.BigEndian.Uint16(answer[9:]) != image.Fill {
					t.Errorf("a reserved word: % x", answer)
				}
				if image.DeviceType != nil {
					if answer := ask(t, c, request(4999, 1)); binary.BigEndian.Uint16(answer[9:]) != *image.DeviceType {
						t.Errorf("device type code: % x", answer)
					}
				}
				for _, area := range image.Refused {
					if answer := ask(t, c, request(area[0], 1)); answer[7] != readInput|0x80 || answer[8] != illegalAddress {
						t.Errorf("%d is not refused: % x", area[0], answer)
					}
					if answer := ask(t, c, request(area[0]-1, 3)); answer[7] != readInput {
						t.Errorf("a read that starts before %d is refused", area[0])
					}
				}
				before := ask(t, c, request(4999, 36))
				time.Sleep(time.Hour)
				if !bytes.Equal(before, ask(t, c, request(4999, 36))) {
					t.Error("an image moves")
				}
			})
		})
	}
}

func inside(areas [][2]uint16, address uint16) bool {
	for _, a := range areas {
		if a[0] <= address && address <= a[1] {
			return true
		}
	}
	return false
}

func TestLoadImageTakesFiles(t *testing.T) {
	one, err := LoadImage("calc-sg5rs-sunny-exporting")
	if err != nil {
		t.Fatal(err)
	}
	write := func(v any) string {
		text, err := json.Marshal(v)
		if err != nil {
			t.Fatal(err)
		}
		path := filepath.Join(t.TempDir(), "image.json")
		if err := os.WriteFile(path, text, 0o600); err != nil {
			t.Fatal(err)
		}
		return path
	}
	for name, v := range map[string]any{"one": one, "a list of one": []*Image{one}} {
		got, err := LoadImage(write(v))
		if err != nil || got.ID != one.ID || len(got.Input) != len(one.Input) {
			t.Errorf("%s: %v, %v", name, got, err)
		}
	}
	for name, v := range map[string]any{"two": []*Image{one, one}, "none": []*Image{}, "no words": Image{ID: "x"}, "no image": 7} {
		if got, err := LoadImage(write(v)); err == nil {
			t.Errorf("%s: %v", name, got)
		}
	}
	_, err = LoadImage("calc-sg5rs")
	if err == nil || !strings.Contains(err.Error(), "real-sh15t-evening-discharging") {
		t.Errorf("an unknown id: %v", err)
	}
}

func flags(t *testing.T, args ...string) (Config, error) {
	t.Helper()
	var c Config
	_, err := settings.NewLine("simulate", "", &c).Parse(args)
	return c, err
}

func TestFlags(t *testing.T) {
	now := time.Date(2026, 11, 23, 14, 30, 0, 0, time.UTC)
	log := slog.New(slog.DiscardHandler)
	c, err := flags(t, "--model=SH4.0RS", "--seed=9", "--speed=60", "--date=2026-06-21", "--unit=3", "--no-battery", "--no-meter",
		"--fault=slow=2s", "--fault=refuse=5213-5241")
	if err != nil {
		t.Fatal(err)
	}
	s, err := c.Server(now, log)
	if err != nil {
		t.Fatal(err)
	}
	p := s.Plant()
	if s.Name() != "SH4.0RS" || s.with.Unit != 3 || s.with.Speed != 60 || len(s.faults) != 2 || p.HasBattery || p.HasMeter {
		t.Errorf("%+v", s.with)
	}
	if want := time.Date(2026, 6, 21, 15, 30, 0, 0, brussels); !s.with.Start.Equal(want) {
		t.Errorf("starts at %v, want %v", s.with.Start, want)
	}
	for _, date := range []string{"2012-02-03", "2012-02-03T12:15"} {
		c, _ := flags(t, "--date="+date)
		s, err := c.Server(now, log)
		if err != nil || s.Plant().Total.PV < 5000 {
			t.Errorf("an early date: %v, %v", s.Plant(), err)
		}
	}
	for _, args := range [][]string{{"--speed=0"}, {"--unit=0"}, {"--date=today"}, {"--tz=Belgium/Brussels"}, {"--image=none"}} {
		c, err := flags(t, args...)
		if err != nil {
			t.Fatal(args, err)
		}
		if _, err := c.Server(now, log); err == nil {
			t.Errorf("%v is accepted", args)
		}
	}
	for _, args := range [][]string{{"--fault=slo"}, {"--model=SH99"}} {
		if _, err := flags(t, args...); err == nil {
			t.Errorf("%v is accepted", args)
		}
	}
}

func TestRunSaysWhereItListens(t *testing.T) {
	for image, want := range map[string]string{
		"":                               "simulated SH10RT on 127.0.0.1:",
		"real-sh15t-evening-discharging": "simulated SH15T image real-sh15t-evening-discharging on 127.0.0.1:",
	} {
		c, err := flags(t, "--listen=127.0.0.1:0", "--image="+image)
		if err != nil {
			t.Fatal(err)
		}
		ctx, cancel := context.WithCancel(t.Context())
		out, in := io.Pipe()
		done := make(chan error, 1)
		go func() { done <- Run(ctx, c, in, slog.New(slog.DiscardHandler)) }()
		line := make([]byte, 200)
		n, err := out.Read(line)
		if got := string(line[:n]); err != nil || !strings.HasPrefix(got, want) || !strings.HasSuffix(got, " (unit 1)\n") {
			t.Errorf("%q, %v", got, err)
		}
		cancel()
		if err := <-done; err != nil {
			t.Error(err)
		}
	}
	c, _ := flags(t, "--list-images")
	var list bytes.Buffer
	if err := Run(t.Context(), c, &list, nil); err != nil || strings.Count(list.String(), "\n") != 15 {
		t.Errorf("%s%v", &list, err)
	}
}

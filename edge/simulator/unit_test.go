package simulator

import (
	"encoding/binary"
	"errors"
	"io"
	"testing"
	"testing/synctest"
	"time"
)

// ofUnit is request to another unit than 1.
func ofUnit(unit byte, frame []byte) []byte {
	frame[6] = unit
	return frame
}

func TestOneDongleServesSeveralUnits(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		image, err := LoadImage("calc-sg5rs-sunny-exporting")
		if err != nil {
			t.Fatal(err)
		}
		s := newServer(t, Options{Home: newHome(t, HomeOptions{Model: "SH10RT"}), Start: noon, Others: []Unit{{ID: 2, Image: image}}})
		s.SetFaults(Fault{Kind: "exception", Value: 6, Unit: 2, Times: 1})
		c := dial(t, s)
		ask := func(unit byte) []byte {
			t.Helper()
			if _, err := c.Write(ofUnit(unit, request(4999, 1))); err != nil {
				t.Fatal(err)
			}
			answer, err := receive(c, time.Minute)
			if err != nil || answer[6] != unit {
				t.Fatalf("unit %d: % x, %v", unit, answer, err)
			}
			return answer
		}
		first := ask(1)
		if failed := ask(2); failed[7] != readInput|0x80 || failed[8] != 6 {
			t.Errorf("unit 2 is to answer with exception 6 once, not % x", failed)
		}
		time.Sleep(6 * time.Second)
		second := ask(2)
		if a, b := binary.BigEndian.Uint16(first[9:]), binary.BigEndian.Uint16(second[9:]); a == b || b != *image.DeviceType {
			t.Errorf("types %#x and %#x", a, b)
		}
		if absent := ask(3); absent[8] != noSuchUnit {
			t.Errorf("a unit that is not there: % x", absent)
		}
		if a := s.Audit(); a.Polls != 3 || a.PollGap.Least != 0 || a.MaxOpen > 1 {
			t.Errorf("polls of all units count: %+v", a)
		}
	})
}

func TestIdleConnectionIsClosed(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newServer(t, Options{Home: newHome(t, HomeOptions{}), Start: noon, Faults: parse(t, "idle=12s")})
		c := dial(t, s)
		for range 3 {
			time.Sleep(11 * time.Second)
			if _, err := c.Write(request(4999, 1)); err != nil {
				t.Fatal(err)
			}
			if _, err := receive(c, time.Minute); err != nil {
				t.Fatal(err)
			}
		}
		begun := time.Now()
		if _, err := c.Read(make([]byte, 1)); !errors.Is(err, io.EOF) || time.Since(begun) != 12*time.Second {
			t.Errorf("%v after %v", err, time.Since(begun))
		}
	})
}

func TestFurtherUnitsAreParsed(t *testing.T) {
	c := Config{Model: "SH10RT", Seed: 1, Speed: 1, TZ: "UTC", Unit: 1, Also: []string{"2=SG5.0RS", "3=calc-sg5rs-sunny-exporting"}}
	s, err := c.Server(time.Now(), nil)
	if err != nil || s.units[2].name() != "SG5.0RS" || s.units[3].with.Image == nil {
		t.Errorf("%v, %v", s, err)
	}
	for _, bad := range []string{"2", "x=SG5.0RS", "0=SG5.0RS", "1=SG5.0RS", "300=SG5.0RS", "2=SG9"} {
		c.Also = []string{bad}
		if _, err := c.Server(time.Now(), nil); err == nil {
			t.Errorf("--also %s is accepted", bad)
		}
	}
}

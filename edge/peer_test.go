package edge

import (
	"fmt"
	"log/slog"
	"net"
	"testing"
	"time"

	peer "github.com/simonvetter/modbus"

	"sunspool/edge/inverter"
	"sunspool/edge/inverter/invertertest"
	"sunspool/edge/pace"
	"sunspool/edge/reading"
	"sunspool/edge/simulator"
	"sunspool/internal/testservices"
)

// otherServer answers Modbus as a library of other people thinks it should be done.
type otherServer struct{ image *simulator.Image }

func (s otherServer) HandleInputRegisters(r *peer.InputRegistersRequest) ([]uint16, error) {
	if r.UnitId != 1 {
		return nil, peer.ErrGWTargetFailedToRespond
	}
	var words []uint16
	for a := r.Addr; a < r.Addr+r.Quantity; a++ {
		w, ok := s.image.Input[a]
		if !ok {
			w = s.image.Fill
		}
		words = append(words, w)
	}
	return words, nil
}

func (otherServer) HandleCoils(*peer.CoilsRequest) ([]bool, error) {
	return nil, peer.ErrIllegalFunction
}

func (otherServer) HandleDiscreteInputs(*peer.DiscreteInputsRequest) ([]bool, error) {
	return nil, peer.ErrIllegalFunction
}

func (otherServer) HandleHoldingRegisters(*peer.HoldingRegistersRequest) ([]uint16, error) {
	return nil, peer.ErrIllegalFunction
}

func TestServerOfAnotherMakerIsRead(t *testing.T) {
	image, err := simulator.LoadImage(invertertest.HybridImage)
	if err != nil {
		t.Fatal(err)
	}
	address := fmt.Sprint("127.0.0.1:", testservices.FreePort(t)) // that library wants to listen by itself
	server, err := peer.NewServer(&peer.ServerConfiguration{URL: "tcp://" + address, MaxClients: 4}, otherServer{image})
	if err != nil {
		t.Fatal(err)
	}
	if err := server.Start(); err != nil {
		t.Fatal(err)
	}
	defer server.Stop()

	read := func(unit byte) (inverter.Reading, error) {
		pace := &pace.Pace{}
		in := &inverter.Inverter{Unit: unit, Log: slog.New(slog.DiscardHandler), Dongle: &inverter.Dongle{Pace: pace, Link: inverter.Transport{
			Address: address, Dial: (&net.Dialer{}).DialContext, Timeout: 5 * time.Second, Gap: 20 * time.Millisecond,
		}}}
		defer in.Dongle.Close()
		return in.Read(t.Context())
	}
	r, err := read(1)
	if err != nil {
		t.Fatal(err)
	}
	s, _, err := reading.Normalize(r)
	if err != nil || s.PVPowerW != 3726 || *s.BatteryPowerW != 1373 || *s.ExportPowerW != 1855 || *s.LoadPowerW != 412 {
		t.Errorf("%+v, %v", s, err)
	}
	if _, err := read(9); !sameCode(err, "inverter_exception") {
		t.Errorf("a unit that is not there: %v", err)
	}
}

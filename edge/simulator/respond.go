package simulator

import (
	"encoding/binary"
	"slices"
	"time"

	"sunspool/edge/registers"
)

// Function codes that are served.
const (
	readHolding = 3
	readInput   = 4
)

// Exception codes.
const (
	illegalFunction = 1
	illegalAddress  = 2
	illegalValue    = 3
	deviceFailure   = 4
	noSuchUnit      = 11
)

// maxWords is what one request can ask for.
const maxWords = 125

// respond returns the PDU that answers a request, and the faults that strike it. It keeps the
// books about the client.
func (s *Server) respond(connection int, request arrival) (pdu []byte, struck strikes) {
	s.mu.Lock()
	defer s.mu.Unlock()
	asked := request.frame[headerSize:]
	r := Request{At: request.at, Connection: connection, Unit: request.frame[6], Function: asked[0], Exception: -1}
	if (r.Function == readInput || r.Function == readHolding) && len(asked) == 5 {
		r.Start, r.Count = binary.BigEndian.Uint16(asked[1:]), binary.BigEndian.Uint16(asked[3:])
	}
	struck = s.strike(r.Unit, r.Start, "")
	words, code := s.read(r, len(asked), time.Now(), struck)
	for _, fault := range []string{"exception", "code0", "bad-length"} {
		if value, ok := struck[fault]; ok {
			code = int(value)
		}
	}
	if struck.has("zeros") {
		clear(words)
	}
	r.zeros = !slices.ContainsFunc(words, func(w uint16) bool { return w != 0 })
	r.Exception, r.Faults = code, struck.names()
	s.watch.request(r, s.with.PollStart)
	if code >= 0 {
		return []byte{r.Function | 0x80, byte(code)}, struck
	}
	pdu = append(pdu, r.Function, byte(2*len(words)))
	for _, word := range words {
		pdu = binary.BigEndian.AppendUint16(pdu, word)
	}
	return pdu, struck
}

// strike throws the dice of the faults for a read of a unit that starts at address, of one kind only if that is given.
func (s *Server) strike(unit byte, address uint16, only string) strikes {
	struck := strikes{}
	for i := range s.faults {
		f := &s.faults[i]
		if f.Kind != only && (only != "" || f.Kind == "idle") || !f.touches(unit, address) || f.Chance > 0 && s.dice.Float64() >= f.Chance {
			continue
		}
		struck[f.Kind] = f.Value
		if f.Times == 1 {
			f.Kind = "spent"
		}
		f.Times = max(f.Times-1, 0)
	}
	s.faults = slices.DeleteFunc(s.faults, func(f Fault) bool { return f.Kind == "spent" })
	return struck
}

// read returns the words that r asks for, or the code of an exception; -1 is none.
func (s *Server) read(r Request, length int, now time.Time, struck strikes) ([]uint16, int) {
	kind, u := registers.Input, s.units[r.Unit]
	switch {
	case u == nil:
		return nil, noSuchUnit
	case r.Function == readHolding:
		kind = registers.Holding
	case r.Function != readInput:
		return nil, illegalFunction
	}
	switch {
	case length != 5 || r.Count == 0 || r.Count > maxWords:
		return nil, illegalValue
	case int(r.Start)+int(r.Count) > 1<<16, struck.has("refuse"), u.refused(kind, r.Start):
		return nil, illegalAddress
	}
	startsPoll := r.Function == readInput && r.Start == s.with.PollStart
	if err := u.refresh(now, s.Now(), startsPoll, struck); err != nil {
		s.with.Log.Error("no register values", "error", err)
		return nil, deviceFailure
	}
	return u.words(kind, r.Start, r.Count), -1
}

// Plant returns what the registers of the first unit showed last, and before the first read what they would show now; nil
// for an image.
func (s *Server) Plant() *Plant {
	s.mu.Lock()
	defer s.mu.Unlock()
	u := s.units[s.with.Unit]
	if u.shown == nil && u.with.Home != nil {
		return new(u.with.Home.At(s.Now()))
	}
	return u.shown
}

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
	struck = s.strike(r.Start, "")
	words, code := s.read(r, len(asked), time.Now(), struck)
	for _, fault := range []string{"exception", "code0", "bad-length"} {
		if value, ok := struck[fault]; ok {
			code = int(value)
		}
	}
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

// strike throws the dice of the faults for a read that starts at address, of one kind only if that is given.
func (s *Server) strike(address uint16, only string) strikes {
	struck := strikes{}
	for i := range s.faults {
		f := &s.faults[i]
		if only != "" && f.Kind != only || !f.touches(address) || f.Chance > 0 && s.dice.Float64() >= f.Chance {
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
	kind := registers.Input
	switch {
	case r.Unit != s.with.Unit:
		return nil, noSuchUnit
	case r.Function == readHolding:
		kind = registers.Holding
	case r.Function != readInput:
		return nil, illegalFunction
	}
	switch {
	case length != 5 || r.Count == 0 || r.Count > maxWords:
		return nil, illegalValue
	case int(r.Start)+int(r.Count) > 1<<16, struck.has("refuse"), s.refused(kind, r.Start):
		return nil, illegalAddress
	}
	if err := s.refresh(now, r, struck); err != nil {
		s.with.Log.Error("no register values", "error", err)
		return nil, deviceFailure
	}
	table, fill := s.now.input, uint16(0)
	if kind == registers.Holding {
		table = s.now.holding
	}
	if s.with.Image != nil {
		fill = s.with.Image.Fill
	}
	words := make([]uint16, r.Count)
	for i := range words {
		word, ok := table[r.Start+uint16(i)]
		if !ok {
			word = fill
		}
		words[i] = word
	}
	return words, -1
}

// refused reports whether a read must not start here.
func (s *Server) refused(kind registers.Kind, start uint16) bool {
	if s.with.Image == nil {
		return !s.knows(kind, start)
	}
	return kind == registers.Input && slices.ContainsFunc(s.with.Image.Refused, func(area [2]uint16) bool {
		return area[0] <= start && start <= area[1]
	})
}

// refresh takes new values when a poll starts, or when the present ones are old.
func (s *Server) refresh(now time.Time, r Request, struck strikes) error {
	fresh := r.Function == readInput && r.Start == s.with.PollStart
	old := s.now.taken.IsZero() || now.Sub(s.now.taken) >= hold
	if s.with.Image != nil || !fresh && !old || struck.has("frozen") && !s.now.taken.IsZero() {
		return nil
	}
	p := s.with.Home.At(s.Now())
	switch {
	case !struck.has("asleep"):
		s.asleep = nil
	case s.asleep == nil:
		s.asleep = new(p.Sleeping())
		p = *s.asleep
	default:
		at := p.Time
		p = *s.asleep
		p.Time = at // only the clock goes on
	}
	input, holding, err := s.bank.read(&p)
	if err != nil {
		return err
	}
	s.now, s.shown = values{now, input, holding}, &p
	return nil
}

// Plant returns what the registers showed last, and before the first read what they would show now; nil for an image.
func (s *Server) Plant() *Plant {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.shown == nil && s.with.Home != nil {
		return new(s.with.Home.At(s.Now()))
	}
	return s.shown
}

package api

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"time"

	"sunspool/internal/paircode"
	"sunspool/vps/auth"
	"sunspool/vps/problem"
	"sunspool/vps/request"
	"sunspool/wire"
)

const maxPairing = 4 << 10

// Offer is the answer of POST /v1/pair at the socket of the operator.
type Offer struct {
	Secret  string    `json:"secret"`
	Device  string    `json:"device"`
	Expires time.Time `json:"expires"`
	Pin     []byte    `json:"pin,omitempty"` // the beginning of the fingerprint of the server's own authority
	URL     string    `json:"url,omitempty"` // where it can be reached at home, as far as it knows
}

// Home is the answer of GET /v1/pair at the socket of the operator.
type Home struct {
	URL string `json:"url"`
}

func (s *Server) home(*request.Request) (any, error) { return Home{s.HomeURL}, nil }

// offer answers POST /v1/pair at the socket of the operator: it makes a code for a device.
func (s *Server) offer(c *request.Request) (any, error) {
	body, err := c.ReadSmall(maxPairing)
	if err != nil {
		return nil, err
	}
	var wish struct{ Device string }
	if err := json.Unmarshal(body, &wish); err != nil || !wire.ValidDeviceID(wish.Device) {
		return nil, problem.Invalid("device_invalid", "Input should be 1 to 64 characters of A-Z a-z 0-9 . _ ~ -", "body", "device")
	}
	return request.Ask(&s.Gate, c, "offer_pairing", func(ctx context.Context) (Offer, error) {
		secret, expires, err := s.Issuer.Offer(ctx, wish.Device)
		return Offer{secret, wish.Device, expires, s.Pin, s.HomeURL}, err
	})
}

// pair answers POST /v1/pair: a code becomes a token. A wrong code counts as a wrong token.
func (s *Server) pair(c *request.Request) (any, error) {
	body, err := c.ReadSmall(maxPairing)
	if err != nil {
		return nil, err
	}
	var p wire.Pairing
	if err := json.Unmarshal(body, &p); err != nil {
		return nil, problem.Invalid("json_invalid", "Input should be an object with code, a text", "body")
	}
	code, err := paircode.Parse(p.Code)
	if err != nil || code.Pin != nil && !bytes.Equal(code.Pin, s.Pin) { // an edge sends its first half alone
		return nil, s.WrongSecret(c)
	}
	paired, err := request.Ask(&s.Gate, c, "pair", func(ctx context.Context) (wire.Paired, error) {
		device, token, err := s.Issuer.Redeem(ctx, code.Secret)
		return wire.Paired{DeviceID: device, Token: token}, err
	})
	if errors.Is(err, auth.ErrNoPairing) {
		return nil, s.WrongSecret(c)
	}
	return paired, err
}

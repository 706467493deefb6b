package storetest

import (
	"context"
	"sync"

	"sunspool/vps/store"
	"sunspool/wire"
)

// Counting is a store of one newest sample for every device that counts how often it is asked.
type Counting struct {
	store.Samples
	mu    sync.Mutex
	PV    float64
	Asked int
	Err   error
}

// Set changes the sample and the error, as another process would.
func (c *Counting) Set(pv float64, err error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.PV, c.Err = pv, err
}

func (c *Counting) Latest(_ context.Context, device string) (wire.Sample, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.Asked++
	s := At(Noon, c.PV)
	s.DeviceID = device
	return s, c.Err
}

func (c *Counting) Close() error { return nil }

func (c *Counting) Insert(_ context.Context, _ string, samples []wire.Sample) (int, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.PV = samples[0].PVPowerW
	return 1, c.Err
}

// Slow answers with what was there before the Insert that comes in between.
type Slow struct {
	*Counting
	Begun, GoOn chan struct{}
}

func (s *Slow) Latest(ctx context.Context, device string) (wire.Sample, error) {
	sample, err := s.Counting.Latest(ctx, device)
	if s.Begun != nil {
		s.Begun <- struct{}{}
		<-s.GoOn
	}
	return sample, err
}

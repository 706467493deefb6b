package upload

import (
	"testing"

	"sunspool/edge/spool"
	"sunspool/edge/spool/spooltest"
	"sunspool/edge/upload/uploadtest"
)

// An edge that starts with a full quarantine reports it at once, not when the server refuses the next sample.
func TestAFullQuarantineIsReportedFromTheStart(t *testing.T) {
	u := uploaderTo(t, &uploadtest.Server{})
	if _, err := u.Spool.RequeueOnce("edge", u.Agent); err != nil { // as the process before it did
		t.Fatal(err)
	}
	fill(t, u.Spool, 10)
	var refused []spool.Rejection
	for _, r := range spooltest.Peek(t, u.Spool, 10) {
		refused = append(refused, spool.Rejection{Seq: r.Seq, Code: "ts"})
	}
	if err := u.Spool.Settle(nil, refused); err != nil {
		t.Fatal(err)
	}
	u.Spool.QuarantineCap = 100
	if _, err := u.Deliver(t.Context()); err != nil {
		t.Fatal(err)
	}
	for _, f := range u.Faults() {
		if f.Code == "quarantine_full" {
			return
		}
	}
	t.Errorf("the faults are %v", u.Faults())
}

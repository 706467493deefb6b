package edge

import (
	"context"
	"fmt"
	"net/http"
	"time"

	"sunspool/edge/clock"
	"sunspool/edge/config"
	"sunspool/edge/transport"
	"sunspool/health"
)

// awaited is a file of the settings that was missing at the start: it may be on a disk that is mounted later, or a secret
// that is written later. Polling goes on; what needs the file waits, and uses it as soon as it is there and good. The zero
// value waits for nothing. One goroutine uses it.
type awaited struct {
	setting, path string
	effect        string       // what does not happen without it
	load          func() error // reads the file and puts it to use; nil when that was done
	since         time.Time
}

const (
	awaitRetry = 5 * time.Second  // between two looks for a file
	awaitMost  = 10 * time.Minute // after that somebody must do something
)

// absentFile is the error of what needs a file that is not there, or not good yet.
type absentFile struct{ *health.Fault }

// await makes a wait for the file of a setting.
func await(setting, path, effect string, load func() error) awaited {
	return awaited{setting, path, effect, load, now()}
}

// get reads the file if it is awaited. The error is *absentFile.
func (a *awaited) get() error {
	if a.load == nil {
		return nil
	}
	err := a.load()
	if err == nil {
		a.load = nil
		return nil
	}
	f := &health.Fault{Code: "file_awaited", What: fmt.Sprintf("waiting for the file %s of %s", a.path, a.setting), Why: a.effect, Err: err,
		Next: "nothing, if it comes later, as one on a disk that is mounted later: it is used as soon as it is there"}
	if !config.Absent(err) {
		f.What, f.Why = fmt.Sprintf("the file %s of %s is there, but cannot be used", a.path, a.setting), err.Error()+"; "+a.effect
	}
	if waited := now().Sub(a.since); waited >= awaitMost {
		f.Code = "file_missing"
		f.Why = fmt.Sprintf("%s; waited for %v so far", f.Why, waited.Round(time.Minute))
		f.Next = fmt.Sprintf("write the file, or correct %s and restart the edge; the file is used as soon as it is there, without a restart", a.setting)
	}
	return &absentFile{f}
}

// awaitFiles makes e wait for the files of c that are missing. It reads none of the others.
func (e *Edge) awaitFiles(c config.Config) {
	if token := e.Uploader.Token; token.Problem() != nil {
		e.token = await(token.Setting(), token.Path(), "nothing is uploaded without a token; samples are kept", func() error {
			_, err := token.Get()
			return err
		})
	}
	if _, err := transport.NewClient(transport.Trust{CAFile: c.CAFile}); config.Absent(err) {
		e.ca = await("VPS_CA_FILE", c.CAFile, "the server cannot be verified without it, so nothing is uploaded; samples are kept", func() error {
			client, err := transport.NewClient(transport.Trust{CAFile: c.CAFile})
			if err == nil {
				verifyBy(client, e.Clock)
				e.Uploader.Client = client
			}
			return err
		})
	}
	if _, err := c.OwnRegisters(); config.Absent(err) {
		e.registers = await("REGISTER_MAP", c.RegisterMap, "the inverter is not read without it, because values could be wrong", func() error {
			own, err := c.OwnRegisters()
			if err == nil {
				e.Inverter.Own = own
			}
			return err
		})
	}
}

// unread reports whether the inverter must not be read yet, because the file of its registers is awaited.
func (e *Edge) unread() bool {
	err := e.registers.get()
	if err == nil {
		return false
	}
	e.turn.Give()
	e.Report.Skipped("register_map")
	e.inverter.Report(err.(*absentFile).Fault)
	e.Report.Write()
	return true
}

// upload delivers once, when the files that it needs are there.
func (e *Edge) upload(ctx context.Context) (more bool, err error) {
	if err := e.ca.get(); err != nil {
		return false, err
	}
	if err := e.Uploader.AskTime(ctx); err != nil { // it needs no token
		return false, err
	}
	e.delivering.Beat(0)
	if err := e.token.get(); err != nil {
		return false, err
	}
	return e.Uploader.Deliver(ctx)
}

// verifyBy makes client verify certificates by the time that c knows.
func verifyBy(client *http.Client, c *clock.Clock) {
	if t, ok := client.Transport.(*transport.Transport); ok {
		t.Time = c.Certificates
	}
}

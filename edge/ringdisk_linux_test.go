package edge

import (
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"testing"
	"time"

	"sunspool/edge/spool"
	"sunspool/internal/testhost"
)

// The kernel makes a broken disk read-only. The samples wait in memory, and when the disk is back they are on it, in
// order, each once.
func TestReadOnlyDiskAndBackLosesNothing(t *testing.T) {
	testhost.Need(t, "e2fsck")
	d := testhost.Ext4(t, 64, "errors=remount-ro")
	s := openSpool(t, filepath.Join(d.Dir, "spool.db"))
	r, durable, _ := testRing(t, s)
	n := 0
	add := func(k int) (err error) {
		for range k {
			err = r.add(sampleAt(noon.Add(time.Duration(n)*5*time.Second)), spool.When{Quality: spool.Synced, Boot: 3, Since: time.Duration(n)})
			n++
		}
		return err
	}
	if err := add(10); err != nil {
		t.Fatal(err)
	}
	trigger := "/sys/fs/ext4/" + d.Loop + "/trigger_fs_error"
	if err := os.WriteFile(trigger, []byte("test"), 0); err != nil {
		t.Skipf("SKIPPED, NOTHING IS SHOWN: %v", err)
	}
	err := add(1)
	for range 5 { // the first write after the error may still be taken
		if err == nil {
			err = add(1)
		}
	}
	if f := asFault(err); f == nil || f.Code != "disk_readonly" && f.Code != "disk_error" {
		t.Fatalf("a disk that is read-only gives %v", err)
	}
	add(20)
	held := r.Len()
	if held < 20 {
		t.Errorf("%d samples in memory, want 20 or more", held)
	}
	r.due = time.Time{} // ten seconds later: still read-only
	if r.flushDue() == nil {
		t.Fatal("written to a disk that is read-only")
	}
	testhost.Must(t, "umount", "--lazy", d.Dir)
	if out, err := exec.Command("mount", "-o", "noatime", "/dev/"+d.Loop, d.Dir).CombinedOutput(); err != nil {
		t.Skipf("SKIPPED, NOTHING IS SHOWN: cannot mount it again: %s", out)
	}
	testhost.Must(t, "mount", "-o", "remount,rw", d.Dir)
	r.due = time.Time{} // ten seconds later
	s.Hurry()
	if err := r.flushDue(); err != nil {
		t.Fatalf("the disk is back, but: %v", err)
	}
	if len(*durable) != n || r.Len() != 0 {
		t.Errorf("%d of %d samples are durable, %d in memory", len(*durable), n, r.Len())
	}
	records := peek(t, s, n+10)
	for i, rec := range records {
		if want := noon.Add(time.Duration(i) * 5 * time.Second); rec.Sample.Time.Sub(want).Abs() > 2*time.Millisecond || rec.When.Since != time.Duration(i) {
			t.Fatalf("record %d is of %v, %v; want %v", i, rec.Sample.Time, rec.When.Since, want)
		}
	}
	if len(records) != n || s.Waiting() != n || !slices.IsSorted(seqs(records)) {
		t.Errorf("%d records of %d samples, %d waiting", len(records), n, s.Waiting())
	}
}

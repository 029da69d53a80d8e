package maintenance

// Step is one step of a change, by the name it has in the journal and in the receipt.
type Step string

// The steps of a change. actions has the order in which they are taken. decide lists those that a change takes, in the
// same order; a test checks that. Cut and rollback come where they are needed, and record is always the last.
const (
	StepAnnounce Step = "announce" // publish a closing, before it happens
	StepShut     Step = "shut"     // create the closed file and see that nginx obeys it
	StepCount    Step = "count"    // have the kernel count connections to the application
	StepRead     Step = "read"     // look through nginx's configuration for other ways to the application
	StepInstall  Step = "install"  // put the rendered rules in place
	StepTest     Step = "test"     // have nginx check them
	StepLift     Step = "lift"     // have the kernel let nginx through again
	StepReload   Step = "reload"   // have nginx take them up
	StepProbe    Step = "probe"    // see that it did
	StepDrain    Step = "drain"    // wait until nothing that was let in earlier is left
	StepRefuse   Step = "refuse"   // have the kernel refuse connections to the application, and see that it does
	StepCut      Step = "cut"      // end what is left
	StepSettle   Step = "settle"   // have the site's own command say that the application is idle
	StepGrace    Step = "grace"    // without one, give the application time for what nobody waits for any more
	StepSmoke    Step = "smoke"    // try the application while everyone else is still shut out
	StepOpen     Step = "open"     // remove the closed file
	StepSee      Step = "see"      // see that the site answers
	StepPublish  Step = "publish"  // publish an opening, after it happened
	StepRecord   Step = "record"   // write down what now holds
	StepRollback Step = "rollback" // put the previous rules back
)

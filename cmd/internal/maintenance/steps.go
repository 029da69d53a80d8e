package maintenance

// Step is one step of a change, by the name it has in the journal and in the receipt.
type Step string

// The steps of a change. actions has the order in which they are taken; decide lists those that a change takes, in the
// same order, which a test sees to. Cut and rollback come where they are needed, and record always is the last.
const (
	StepAnnounce Step = "announce" // publish a closing, before it happens
	StepShut     Step = "shut"     // create the closed file and see that nginx obeys it
	StepInstall  Step = "install"  // put the rendered rules in place
	StepTest     Step = "test"     // have nginx check them
	StepReload   Step = "reload"   // have nginx take them up
	StepProbe    Step = "probe"    // see that it did
	StepDrain    Step = "drain"    // wait until nothing that was let in earlier is left
	StepCut      Step = "cut"      // end what is left
	StepSettle   Step = "settle"   // have the site's own command say that the application is idle
	StepSmoke    Step = "smoke"    // try the application while everyone else is still shut out
	StepOpen     Step = "open"     // remove the closed file
	StepSee      Step = "see"      // see that the site answers
	StepPublish  Step = "publish"  // publish an opening, after it happened
	StepRecord   Step = "record"   // write down what now holds
	StepRollback Step = "rollback" // put the previous rules back
)
